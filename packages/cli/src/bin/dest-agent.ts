import { main } from "../main.ts";

await main("dest-agent");
