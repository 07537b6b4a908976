export { freeMemory } from "./free-memory.ts";
export { adviseHugePages, giveMemory, prepareMemoryAdvice } from "./memory-advice.ts";
