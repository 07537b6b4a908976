export { adviseHugePages, giveMemory } from "./memory-advice.ts";
