import { start } from "./start.ts";

await start("dest-agent");
