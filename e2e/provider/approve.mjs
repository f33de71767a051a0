// A person in front of a browser: opens the link of a device authorization in headless Chromium, signs in, and
// approves the code on the provider's own pages; or opens the address of the browser flow and signs in.
//
//   node approve.mjs LINK [approve|login|paste]
//
// Prints the code that the provider's page showed for comparison; after a login the last page's text; to be pasted, the
// address that the browser could not reach; what a console shows. CHROMIUM names the browser.
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
    // To be pasted is what a browser ends on where nothing listens, as on another machine.
    `--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1${answer === 'paste' ? '' : ', EXCLUDE localhost'}`,
  ],
});
const browser = await launch(20_000).catch((error) => {
  console.error(`Chromium is started again: ${error}`); // now and then it hangs on a busy machine
  return launch(60_000);
});
const page = await browser.newPage();
try {
  page.setDefaultTimeout(30_000);
  await page.goto(link);

  if (await page.locator('#destination').count() > 0) { // the console of internal/sandbox
    console.log(await page.locator('dl').innerText());
  } else if (answer === 'login') {
    await signIn();
    await page.getByRole('heading', { name: 'You are logged in' }).waitFor();
    console.log(`${await page.locator('p').textContent()} ${page.url()}`);
  } else if (answer === 'paste') {
    const failed = page.waitForEvent('requestfailed', (request) => new URL(request.url()).hostname === 'localhost');
    await signIn();
    console.log((await failed).url());
  } else if (await page.locator('input[name=username]').count() > 0) { // zitadel's example, which shows no code
    await signIn();
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByText('You can now return to the device').waitFor();
  } else {
    await approve();
  }
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}

// signIn signs in on either provider's page, and consents where that is asked for.
async function signIn() {
  const consents = await page.locator('input[name=login]').count() > 0;
  await page.locator('input[name=login], input[name=username]').fill('taro');
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  if (consents) {
    await page.getByRole('button', { name: 'Continue' }).click();
  }
}

async function approve() {
  // "Confirm Device" shows the code that the person compares with the one on the terminal.
  const code = page.locator('code');
  await code.waitFor();
  console.log((await code.textContent()).trim());
  await page.getByRole('button', { name: 'Continue' }).click();
  await signIn();
  await page.getByRole('heading', { name: 'Sign-in Success' }).waitFor();
}
