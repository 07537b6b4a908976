import { start } from "./start.ts";

await start("source-agent");
