import { MigrationError } from "./errors.ts";
import type { VmDescription } from "./vm-description.ts";

/** Structures in structures. Devices seen so far have five levels. */
const MAX_DEPTH = 32;
/** Characters for each object or list, on average. Real descriptions have 50, the shortest one of a field has 35. */
const LEAST_DENSITY = 16;
/** Objects and lists that are parsed at any density. */
const FEW_VALUES = 64;
const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;

/**
 * Parses the JSON after the end mark. Keys that are not known are kept.
 * Errors: BAD_SECTION when it is not JSON or lacks what describes a device.
 */
export function parseVmDescription(text: string): VmDescription {
  requireFewValues(text);
  const parsed = parseJson(text);
  requireDescription(parsed);
  return parsed;
}

/** An empty object takes two characters, and thirty times as much memory. */
function requireFewValues(text: string): void {
  let values = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at);
    if (character === OPENING_BRACE || character === OPENING_BRACKET) values += 1;
  }
  if (values > FEW_VALUES + text.length / LEAST_DENSITY) {
    throw malformed("it", `has ${values} objects and lists in ${text.length} characters`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MigrationError("BAD_SECTION", "The vmdescription is not valid JSON", {
      cause,
      section: "vmdescription",
    });
  }
}

function requireDescription(value: unknown): asserts value is VmDescription {
  const description = requireObject(value, "it");
  requireCount(description, "page_size", "it");
  if (description["configuration"] !== undefined) {
    requireState(description["configuration"], "configuration", 0);
  }
  requireArray(description, "devices", "it").forEach((device, index) => {
    requireDevice(device, `device ${index}`);
  });
}

function requireDevice(value: unknown, where: string): void {
  const device = requireObject(value, where);
  const name = requireText(device, "name", where);
  requireCount(device, "instance_id", name);
  if (device["vmsd_name"] !== undefined) {
    requireState(device, name, 0);
    return;
  }
  requireCount(device, "size", name);
  requireFields(device, name, 0);
}

function requireState(value: unknown, where: string, depth: number): void {
  if (depth > MAX_DEPTH) throw malformed(where, `is nested more than ${MAX_DEPTH} levels deep`);
  const state = requireObject(value, where);
  requireText(state, "vmsd_name", where);
  requireCount(state, "version", where);
  requireFields(state, where, depth);
  if (state["subsections"] === undefined) return;
  requireArray(state, "subsections", where).forEach((subsection, index) => {
    requireState(subsection, `subsection ${index} of ${where}`, depth + 1);
  });
}

function requireFields(state: Record<string, unknown>, where: string, depth: number): void {
  requireArray(state, "fields", where).forEach((value, index) => {
    const field = requireObject(value, `field ${index} of ${where}`);
    const name = `${where}.${requireText(field, "name", `field ${index} of ${where}`)}`;
    requireText(field, "type", name);
    requireCount(field, "size", name);
    if (field["array_len"] !== undefined) requireCount(field, "array_len", name);
    if (field["index"] !== undefined) requireCount(field, "index", name);
    if (field["struct"] !== undefined) requireState(field["struct"], name, depth + 1);
  });
}

function requireObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw malformed(where, "is not an object");
}

function requireArray(value: Record<string, unknown>, key: string, where: string): readonly unknown[] {
  const array = value[key];
  if (Array.isArray(array)) return array;
  throw malformed(where, `has no list '${key}'`);
}

function requireText(value: Record<string, unknown>, key: string, where: string): string {
  const text = value[key];
  if (typeof text === "string") return text;
  throw malformed(where, `has no text '${key}'`);
}

/** A number from 0 on, small enough for sums of products of two to be seen as too large. */
function requireCount(value: Record<string, unknown>, key: string, where: string): void {
  const count = value[key];
  if (typeof count === "number" && Number.isSafeInteger(count) && count >= 0) return;
  throw malformed(where, `has no count '${key}'`);
}

function malformed(where: string, why: string): MigrationError {
  return new MigrationError("BAD_SECTION", `The vmdescription is malformed: ${where} ${why}`, {
    section: "vmdescription",
  });
}
