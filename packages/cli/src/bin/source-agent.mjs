import { start } from "./start.mjs";

await start("source-agent");
