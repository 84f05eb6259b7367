import { existsSync } from 'node:fs';
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
  type Page,
} from 'playwright-core';
import t, { type Test } from 'tap';

export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((file) => existsSync(file));
/** Why no page can be opened here; false where it can. For `skip`. */
export const noChromium: string | false = CHROMIUM === undefined && 'chromium is missing';

/** One for all tests of a file. */
let browser: Browser | undefined;
t.teardown(() => browser?.close());

/** @param options where the browser is not to be started as always, such as another environment */
export function launch(args: string[] = [], options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox', ...args], ...options });
}

/** An empty page, which the end of the test closes. @param options others of the page */
export async function newPage(t: Test, options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= await launch();
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  t.teardown(() => page.close());
  return page;
}

/** Opens the page; an error that it reports fails the test. */
export async function open(t: Test, url: string): Promise<Page> {
  const page = await newPage(t);
  page.on('console', (message) => {
    // The browser itself reports connections that fail.
    if (message.type() === 'error' && !message.text().includes('net::ERR_'))
      t.fail(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => void t.fail(`page: ${error}`));
  await page.goto(url);
  await page.locator('article').first().waitFor();
  return page;
}
