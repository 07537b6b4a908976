import { element, setText } from "./dom.ts";

/** Asks for the token. */
export class LoginForm {
  readonly node: HTMLElement;
  readonly #input: HTMLInputElement;
  readonly #refusal: HTMLElement;
  readonly #button: HTMLButtonElement;

  constructor(logIn: (token: string) => void) {
    this.#input = element("input", {
      id: "token",
      type: "password",
      autocomplete: "current-password",
      spellcheck: "false",
      required: "",
      "aria-describedby": "token-help token-refusal",
    });
    this.#refusal = element("p", { id: "token-refusal", class: "refusal", role: "alert" });
    this.#button = element("button", { class: "primary" }, "Open the dashboard");
    const form = element(
      "form",
      { class: "card login" },
      element("h2", {}, "Token"),
      element(
        "p",
        { id: "token-help" },
        "Who has it can see the guests of this dashboard, move them and pause them. It is in the file that the " +
          "dashboard was started with, or in the address that it has printed.",
      ),
      element("label", { for: "token" }, "Token"),
      this.#input,
      this.#refusal,
      this.#button,
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      setText(this.#refusal, "");
      // The dashboard answers one try at a time. A form is not submitted either by a key while its button is disabled.
      this.#button.disabled = true;
      logIn(this.#input.value);
    });
    this.node = element("div", { class: "centre" }, form);
  }

  show(refusal: string | null): void {
    setText(this.#refusal, refusal ?? "");
    this.#input.value = "";
    this.#button.disabled = false;
    this.#input.focus();
  }
}
