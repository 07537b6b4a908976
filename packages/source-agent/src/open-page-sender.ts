import { InlineSender } from "./inline-sender.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

/** Opens the way for pages that the capabilities ask for. */
export async function openPageSender(options: PageSenderOptions): Promise<PageSender> {
  return new InlineSender(options);
}
