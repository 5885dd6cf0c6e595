// The three browser engines behind one face: the part of Playwright's that the helpers use. So
// `openClient`, `showsIn` and `openForum` work in each, and a new test needs nothing of its own.
//
//   engine    newContext(), close()
//   context   newPage(), close(): storage of its own, as another visitor has
//   page      goto, evaluate, waitForFunction, waitForTimeout, mouse.click, click, on, close

import { startBrowser } from './browser.js';
import { startFirefox } from './firefox.js';
import { startWebKit } from './webkit.js';

/** How each engine is started, by name. */
export const ENGINES = { Chromium: startBrowser, Firefox: startFirefox, WebKit: startWebKit };

/**
 * Clicks the middle of what `find(arg)` gives in the page, through shadow roots too: `taps` times,
 * and `ms` between press and release, as a thumb does.
 */
export async function tapOn(page, find, arg, { taps = 1, ms = 60 } = {}) {
  // As text, which a page's policy against `eval` does not concern.
  const [x, y] = await page.evaluate(`(() => {
    const element = (${find})(${JSON.stringify(arg)});
    element.scrollIntoView({ block: 'center' });
    const { left, top, width, height } = element.getBoundingClientRect();
    return [left + width / 2, top + height / 2];
  })()`);
  await page.mouse.click(x, y, { clickCount: taps, delay: ms });
}
