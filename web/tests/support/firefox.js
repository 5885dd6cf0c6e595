// A real Firefox, headless, over WebDriver BiDi.

import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

import { EnginePage } from './engine_page.js';

const PLACES = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];
const FIREFOX = process.env.ONETAP_TEST_FIREFOX ?? PLACES.find(existsSync) ?? PLACES[0];

/** One browser for a test file; each `newContext()` has storage of its own. */
export async function startFirefox() {
  if (!existsSync(FIREFOX))
    throw new Error(
      `${FIREFOX} is not there: apt-get install firefox-esr, or name one in ONETAP_TEST_FIREFOX`,
    );
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    headless: true,
  });
  return {
    async newContext() {
      const context = await browser.createBrowserContext();
      return {
        // A window each: of two tabs in one, only one is visible.
        newPage: async () => new FirefoxPage(await context.newPage({ type: 'window' })),
        close: () => context.close(),
      };
    },
    close: () => browser.close(),
  };
}

class FirefoxPage extends EnginePage {
  #page;

  constructor(page) {
    super();
    this.#page = page;
    this.mouse = {
      click: (x, y, { clickCount, delay }) => page.mouse.click(x, y, { count: clickCount, delay }),
    };
  }

  goto(url) {
    return this.#page.goto(url);
  }

  evaluate(work, arg) {
    return this.#page.evaluate(work, arg);
  }

  on(event, listener) {
    this.#page.on(event, listener);
  }

  close() {
    return this.#page.close();
  }
}
