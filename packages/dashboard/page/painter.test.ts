import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Painter, PAUSE_MS } from "./painter.ts";

/** Milliseconds from one frame of the browser to the next. */
const FRAME = 16;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "performance"] });
  vi.stubGlobal("requestAnimationFrame", (draw: FrameRequestCallback) =>
    setTimeout(() => draw(performance.now()), FRAME),
  );
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what is new after a while is drawn with the next frame, and what comes soon after it together", () => {
  let draws = 0;
  const painter = new Painter(() => draws++);
  vi.advanceTimersByTime(5000);
  for (let news = 0; news < 3; news++) painter.request();
  expect(draws).toBe(0);
  vi.advanceTimersByTime(FRAME);
  expect(draws).toBe(1);
  for (let at = FRAME; at < PAUSE_MS - FRAME; at += FRAME) {
    painter.request();
    vi.advanceTimersByTime(FRAME);
  }
  expect(draws).toBe(1);
  vi.advanceTimersByTime(5 * FRAME);
  expect(draws).toBe(2);
  vi.advanceTimersByTime(5000);
  expect(draws).toBe(2);
});

test("what somebody waits for is drawn with the next frame", () => {
  let draws = 0;
  const painter = new Painter(() => draws++);
  painter.request();
  vi.advanceTimersByTime(FRAME);
  painter.hurry();
  vi.advanceTimersByTime(FRAME);
  expect(draws).toBe(2);
});
