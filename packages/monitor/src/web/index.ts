export { decodeMessage, encodeMessage } from "./message-pack.ts";
