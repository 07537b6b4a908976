const KEY = "peregrine-theme";

/** The switch between light and dark; `system` follows the browser. Calls `changed` whenever colours have changed. */
export function setUpTheme(select: HTMLSelectElement, changed: () => void): void {
  const apply = (theme: string): void => {
    if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
    else delete document.documentElement.dataset["theme"];
    changed();
  };
  select.value = localStorage.getItem(KEY) ?? "system";
  if (select.value === "") select.value = "system";
  select.addEventListener("change", () => {
    localStorage.setItem(KEY, select.value);
    apply(select.value);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  apply(select.value);
}

/** A colour of the present theme. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
