/** Of the monitors in tests. */
export const TOKEN = "correct-horse-battery-staple";

/** What a client of QMP begins with. */
export const LOGIN = { execute: "qmp_capabilities", arguments: { token: TOKEN } };
