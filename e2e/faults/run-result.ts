import type { Diary } from "./diary.ts";
import type { Plan } from "./plan.ts";

/** What became of the guest in a run. */
export type Outcome =
  | "stayed"
  | "moved"
  | "operator"
  | "died"
  /** It moved, with a byte that was changed on the way. */
  | "damaged"
  | "standing"
  /** A forged stream was refused, or could not be told from a real one. */
  | "refused"
  | "taken"
  /** This process may not do what the fault needs. */
  | "skipped"
  | "none";

/** One run, as it becomes known. */
export class Run {
  readonly plan: Plan;
  readonly diary: Diary;
  outcome: Outcome = "none";
  /** When the fault struck, ms since 1970. */
  struckAt: number | undefined;
  where = "";
  readonly wrong: string[] = [];

  constructor(plan: Plan, diary: Diary) {
    this.plan = plan;
    this.diary = diary;
  }

  strikes(where: string): void {
    this.struckAt = Date.now();
    this.where = where;
    this.diary.note("fault", `${JSON.stringify(this.plan.fault)} ${where}`);
  }

  fails(what: string): void {
    this.diary.note("wrong", what);
    this.wrong.push(what);
  }
}
