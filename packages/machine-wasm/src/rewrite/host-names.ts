/** Names under which a rewritten module imports from and exports to its host. */
export const HOST = {
  module: "peregrine",
  memory: "memory",
  control: "control",
  unwind: "unwind",
  start: "peregrine.start",
  resume: "peregrine.resume",
  saveGlobals: "peregrine.save-globals",
  loadState: "peregrine.load-state",
  /** Followed by the table's or function's index; only where the module changes its tables. */
  table: "peregrine.table.",
  function: "peregrine.function.",
} as const;
