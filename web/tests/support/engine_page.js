// What the pages of Firefox and WebKit have in common, with Playwright's names. Each has its own
// `evaluate(work, arg)`.

export class EnginePage {
  /** Waits until `work(arg)` is true in the page. */
  async waitForFunction(work, arg, { timeout = 30_000, polling = 20 } = {}) {
    for (const end = Date.now() + timeout; ; ) {
      const got = await this.evaluate(work, arg);
      if (got) return got;
      if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${work}`);
      await this.waitForTimeout(polling);
    }
  }

  waitForTimeout(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
