// Pages with <onetap-bar>, and questions that tests ask them.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Counts how far things have moved on the page (in Chromium), the events of bars, and what the page throws. */
const RECORDER = `<script>
  globalThis.shift = 0; globalThis.changes = []; globalThis.errors = []; globalThis.problems = [];
  addEventListener('error', ({ message }) => problems.push(message));
  addEventListener('unhandledrejection', ({ reason }) => problems.push(String(reason)));
  new PerformanceObserver((list) => { for (const entry of list.getEntries()) shift += entry.value; })
    .observe({ type: 'layout-shift', buffered: true });
  addEventListener('onetap-change', ({ detail }) => changes.push(detail));
  addEventListener('onetap-error', ({ detail }) => errors.push(detail));
</script>`;

/** Names for users 1 to 60, for a page's script. */
export const NAMES = `
  globalThis.resolved = [];
  const NAMES = ['Anna', 'Ben', 'Carla', ...Array.from({ length: 57 }, (_, i) => 'User no. ' + (i + 4))];
  OnetapBar.resolveUsers = async (ids) => {
    resolved.push(ids);
    return ids.filter((id) => NAMES[id - 1]).map((id) => ({ id, name: NAMES[id - 1], url: '/users/' + id }));
  };`;

/** A page of a forum. `script` runs behind the import of the element; without it the element is not loaded. */
export function forumPage(body, { script = '', head = '', language = 'en', dir = 'ltr' } = {}) {
  const module = script === null ? '' : `<script type="module">
    import { Onetap } from '/onetap.js'; import { OnetapBar } from '/onetap-bar.js';
    Object.assign(globalThis, { Onetap, OnetapBar });
    ${script}
    globalThis.ready = true;</script>`;
  return `<!doctype html><html lang="${language}" dir="${dir}"><head><meta charset="utf-8"><title>A thread</title>
    <meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
    <style>body { background: Canvas; color: CanvasText }</style><link rel="icon" href="data:,"><link rel="stylesheet" href="/onetap-bar.css">${RECORDER}${head}</head>
    <body><main><h1>A thread</h1>${body}<p id="below">What is below</p></main>${module}</body></html>`;
}

let count = 0;

/** Opens such a page. `page.problems` has its errors, `page.warnings` its warnings. */
export async function openForum(context, site, body, options = {}) {
  const path = `/forum/${(count += 1)}`;
  site.pages[path] = forumPage(body, options);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.warnings = [];
  page.on('console', (message) => message.type() === 'warning' && page.warnings.push(message.text()));
  await page.goto(site.url + path);
  if (options.script !== null) await page.waitForFunction(() => globalThis.ready);
  return page;
}

/** A bar of a page, by place. */
export const barOf = (page, place = 0) => page.locator('onetap-bar').nth(place);

/** Waits until the service has answered the first bar's taps. Before that, the bar shows what it expects. */
export const settled = (page) => page.evaluate(() => document.querySelector('onetap-bar').client.settled());

/** The button of a reaction, by the name that a screen reader reads. */
export const buttonOf = (bar, label) => bar.locator('.reaction').and(bar.getByRole('button', { name: new RegExp(`^${label}\\b|^${label}$`) }));

/** The buttons of a bar as a screen reader reads them: `['Like, 3 *']`, with a star where it is pressed. */
export const read = (page, place = 0) => barOf(page, place).evaluate(labelsOf);

/** The same inside the page, for engines without locators. */
export const labelsOf = (bar) =>
  [...bar.shadowRoot.querySelectorAll('.reaction')].filter((button) => button.checkVisibility({ visibilityProperty: true }))
    .map((button) => button.getAttribute('aria-label') + (button.getAttribute('aria-pressed') === 'true' ? ' *' : ''));

/** What the element says to a screen reader. */
export const spoken = (page, place = 0) => barOf(page, place).locator('.spoken').textContent();

/** Waits until a screen reader reads a bar so. On failure it says how it reads instead. */
export async function reads(page, wanted, place = 0) {
  const end = Date.now() + 30_000;
  for (let is; ; ) {
    is = await read(page, place);
    if (JSON.stringify(is) === JSON.stringify(wanted)) return;
    if (Date.now() > end) throw new Error(`it reads ${JSON.stringify(is)}, not ${JSON.stringify(wanted)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What axe finds, a line each. It runs by `evaluate`, since the page's policy forbids foreign scripts. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ['violations'] }));
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${JSON.stringify(node.target)} ${node.any[0]?.message ?? ''}`));
}
