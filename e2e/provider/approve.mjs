// A person in front of a browser: opens the link of a device authorization in headless Chromium, signs in, and
// approves the code on the provider's own pages, or refuses it.
//
//   node approve.mjs LINK [approve|refuse]
//
// Prints the code that the provider's page showed for comparison. CHROMIUM names the browser.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [link, answer = 'approve'] = process.argv.slice(2);
const profile = await mkdtemp(join(tmpdir(), 'daypass-chromium-'));
const launch = (timeout) => chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  timeout,
  args: [
    '--no-sandbox', // root, as in a container, has none
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // The pages ask for a web font: nothing but loopback is to be reached.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
  ],
});
const browser = await launch(20_000).catch((error) => {
  console.error(`Chromium is started again: ${error}`); // now and then it hangs on a busy machine
  return launch(60_000);
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await page.goto(link);

  // "Confirm Device" shows the code that the person compares with the one on the terminal.
  const code = page.locator('code');
  await code.waitFor();
  console.log((await code.textContent()).trim());
  if (answer === 'refuse') {
    await page.getByRole('button', { name: 'Abort' }).click();
    await page.getByText('The Sign-in request was interrupted').waitFor();
  } else {
    await page.getByRole('button', { name: 'Continue' }).click();

    await page.locator('input[name=login]').fill('taro');
    await page.locator('input[name=password]').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();

    await page.getByRole('button', { name: 'Continue' }).click(); // consent
    await page.getByRole('heading', { name: 'Sign-in Success' }).waitFor();
  }
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
