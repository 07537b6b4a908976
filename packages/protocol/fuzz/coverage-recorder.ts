import { Session } from "node:inspector/promises";
import type { Profiler } from "node:inspector";

/** Which parts of a script have run: for each function its own range first, and then those in it that differ. */
export type ScriptCoverage = Profiler.ScriptCoverage;

/** Has the engine note which code runs in this thread. */
export class CoverageRecorder {
  readonly #session = new Session();
  readonly #part: string;

  private constructor(part: string) {
    this.#part = part;
  }

  /** To be called before the code is loaded. @param part of the URLs of the scripts that matter. */
  static async start(part: string): Promise<CoverageRecorder> {
    const recorder = new CoverageRecorder(part);
    recorder.#session.connect();
    await recorder.#session.post("Profiler.enable");
    // Whether, and not how often: that leaves the code as fast as it is.
    await recorder.#session.post("Profiler.startPreciseCoverage", { callCount: false, detailed: true });
    return recorder;
  }

  async take(): Promise<readonly ScriptCoverage[]> {
    const { result } = await this.#session.post("Profiler.takePreciseCoverage");
    this.#session.disconnect();
    return result.filter(({ url }) => url.includes(this.#part));
  }
}
