import { MigrationError } from "@peregrine/protocol";
import { InlineSender } from "./inline-sender.ts";
import { MappedSender } from "./mapped-sender.ts";
import { MultifdSender } from "./multifd-sender.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

/** Opens the way for pages that the capabilities ask for. Errors: CONNECT_FAILED, CHANNEL_FAILED. */
export async function openPageSender(options: PageSenderOptions): Promise<PageSender> {
  const { capabilities, channel } = options;
  if (capabilities.multifd) return MultifdSender.open(options);
  if (!capabilities["mapped-ram"]) return new InlineSender(options);
  if (channel.file === undefined) {
    throw new MigrationError("INTERNAL", "mapped-ram was not refused for a channel that goes to no file");
  }
  return new MappedSender(options, channel.file);
}
