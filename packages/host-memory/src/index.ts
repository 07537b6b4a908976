export { freeMemory } from "./free-memory.ts";
export { adviseHugePages, giveMemory, giveMemoryHere, prepareMemoryAdvice } from "./memory-advice.ts";
