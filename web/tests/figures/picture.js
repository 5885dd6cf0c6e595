// The picture of the demo in the README (`make picture`): after "Tap all 24", when both halves have
// their score.

import { startBrowser } from '../support/browser.js';
import { startService } from '../support/service.js';

const FILE = process.argv[2] ?? 'docs/demo.png';
/** The longest that the simulated network keeps a tap back, retries included. */
const SCORED_MS = 60_000;

const [browser, service] = await Promise.all([startBrowser(), startService()]);
const page = await browser.newPage({
  viewport: { width: 1200, height: 800 },
  colorScheme: 'light',
  reducedMotion: 'reduce',
});

/** Waits for the verdict of one half. */
const scored = (side) =>
  page
    .locator(`[data-score=${side}] .verdict.right, [data-score=${side}] .verdict.wrong`)
    .waitFor({ timeout: SCORED_MS });

try {
  await page.goto(`${service.url}/demo`);
  await page.locator('[data-side=onetap] onetap-bar .reaction').first().waitFor();
  await page.getByRole('button', { name: 'Tap all 24', exact: true }).click();
  // All 24 have been tapped when the buttons are free again.
  await page.locator('[data-do=once][aria-disabled=true]').waitFor();
  await page.locator('[data-do=once][aria-disabled=false]').waitFor({ timeout: SCORED_MS });
  await Promise.all(['naive', 'onetap'].map(scored));
  // Away from the button, so that no hover or focus is in the picture.
  await page.mouse.move(0, 0);
  await page.evaluate(() => document.activeElement?.blur());
  // The picture ends where the first post of all four phones does.
  const first = await page.locator('.phone li').first().boundingBox();
  const height = Math.floor(first.y + first.height);
  await page.screenshot({ path: FILE, clip: { x: 0, y: 0, width: 1200, height } });
} finally {
  await Promise.all([browser.close(), service.stop()]);
}
