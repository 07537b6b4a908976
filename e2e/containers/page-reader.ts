// Opens the dashboard as somebody does who wants to see a migration, and prints what it shows when that has ended.
//
//   node e2e/containers/page-reader.ts URL

import { Browser } from "../src/browser.ts";

const browser = await Browser.start();
try {
  await browser.view({ width: 1360, height: 900 });
  await browser.open(process.argv[2]!);
  await browser.until("document.querySelectorAll('.guest').length === 2");
  console.log("both guests are shown");
  await browser.until("document.querySelector('.verdict').innerText.startsWith('Completed')");
  console.log(await browser.evaluate<string>("document.querySelector('#migration').innerText"));
} finally {
  await browser.close();
}
