// A real WebKit: MiniBrowser of WebKitGTK on a virtual display, over WebDriver.

import { existsSync } from 'node:fs';
import { Builder } from 'selenium-webdriver';

import { EnginePage } from './engine_page.js';
import { freePort, start, until } from './service.js';

const WEBKIT_DRIVER = process.env.ONETAP_TEST_WEBKIT_DRIVER ?? '/usr/bin/WebKitWebDriver';
const HINT =
  'apt-get install webkit2gtk-driver xvfb, or name the driver in ONETAP_TEST_WEBKIT_DRIVER';
/** How long to wait for a script before the other pages have their turn. */
const AT_ONCE_MS = 50;

/** One display for a test file. Each `newContext()` starts a browser, since a driver has only one. */
export async function startWebKit() {
  if (!existsSync(WEBKIT_DRIVER)) throw new Error(`${WEBKIT_DRIVER} is not there: ${HINT}`);
  const args = ['-displayfd', '1', '-screen', '0', '1400x1000x24', '-nolisten', 'tcp'];
  const display = start('Xvfb', args, HINT);
  let number = '';
  display.stdout.on('data', (text) => (number += text));
  await Promise.race([until('Xvfb has a display', () => /^\d+\n/.exec(number)), display.failed]);
  const env = { ...process.env, DISPLAY: `:${number.trim()}` };
  // Nothing here has a graphics card.
  Object.assign(env, { LIBGL_ALWAYS_SOFTWARE: '1', WEBKIT_DISABLE_DMABUF_RENDERER: '1' });
  const contexts = new Set();
  return {
    async newContext() {
      const context = await startContext(env);
      contexts.add(context);
      return context;
    },
    async close() {
      await Promise.all([...contexts].map((context) => context.close()));
      await display.end('SIGTERM');
    },
  };
}

async function startContext(env) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const driver = start(WEBKIT_DRIVER, [`--port=${port}`, '--host=127.0.0.1'], HINT, env);
  driver.stdout.resume();
  const listens = () => fetch(`${url}/status`).then(({ ok }) => ok, () => false);
  await Promise.race([until('WebKitWebDriver listens', listens), driver.failed]);
  const session = await new Builder()
    .disableEnvironmentOverrides()
    .usingServer(url)
    .withCapabilities({ browserName: 'MiniBrowser' })
    .build();
  await session.manage().setTimeouts({ script: 30_000 });
  /** A session has one current window, so calls to several pages wait in line. */
  let line = Promise.resolve();
  const spare = await session.getWindowHandle();
  let current;
  let closed;
  /** @param {string | undefined} handle @param {() => Promise<any>} work */
  const inWindow = (handle, work) => {
    const done = line.then(async () => {
      if (handle && handle !== current) await session.switchTo().window((current = handle));
      return work();
    });
    line = done.catch(() => {});
    return done;
  };
  return {
    async newPage() {
      const handle = await inWindow(undefined, async () => {
        // Each page gets a window, because of two tabs in a window only one is visible. The
        // session's first window stays unused, since the session ends with its last window.
        if (current) await session.switchTo().window(spare);
        await session.switchTo().newWindow('window');
        return (current = await session.getWindowHandle());
      });
      return new WebKitPage(session, (work) => inWindow(handle, work));
    },
    close: () => (closed ??= session.quit().then(() => driver.end('SIGTERM'))),
  };
}

let calls = 0;

class WebKitPage extends EnginePage {
  #session;
  #here;

  constructor(session, here) {
    super();
    this.#session = session;
    this.#here = here;
    this.mouse = { click: (x, y, how) => this.#here(() => this.#press(x, y, how)) };
  }

  goto(url) {
    return this.#here(() => this.#session.get(url));
  }

  async evaluate(work, arg) {
    const id = `call${(calls += 1)}`;
    const begin = `const [id, arg, ms] = arguments;
      const calls = (globalThis.webDriverCalls ??= {});
      const call = new Promise((resolve) => resolve(${typeof work === 'string' ? work : `(${work})(arg)`})).then(
        (value) => ({ value: JSON.stringify(value) }), (error) => ({ error: String(error) }));
      call.then((done) => { calls[id] = done; });
      return Promise.race([call, new Promise((resolve) => setTimeout(resolve, ms))]);`;
    const look = `return globalThis.webDriverCalls ? (webDriverCalls[arguments[0]] ?? null) : { error: 'the page has gone' };`;
    let done = await this.#here(() => this.#session.executeScript(begin, id, arg, AT_ONCE_MS));
    while (!done) {
      await this.waitForTimeout(20);
      done = await this.#here(() => this.#session.executeScript(look, id));
    }
    if (done.error) throw new Error(done.error);
    return done.value ? JSON.parse(done.value) : undefined;
  }

  async #press(x, y, { clickCount = 1, delay = 0 } = {}) {
    const actions = this.#session.actions({ async: true });
    actions.move({ x: Math.round(x), y: Math.round(y), duration: 0 });
    for (let i = 0; i < clickCount; i += 1) {
      if (i) actions.pause(delay);
      actions.press().pause(delay).release();
    }
    await actions.perform();
  }

  /** WebDriver does not report what a page throws, so the test pages keep it themselves. */
  on() {}

  close() {
    return this.#here(() => this.#session.close());
  }
}
