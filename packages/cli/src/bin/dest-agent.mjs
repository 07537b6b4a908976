import { start } from "./start.mjs";

await start("dest-agent");
