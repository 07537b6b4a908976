export { freeMemory } from "./free-memory.ts";
export { adviseHugePages, giveMemory } from "./memory-advice.ts";
