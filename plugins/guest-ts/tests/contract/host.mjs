// `ironrule:rules/host`.
import { asked } from "../host.mjs";

export const log = (...given) => asked("log", given);
export const now = () => asked("now", []);
export const random = (count) => asked("random", [count]);
export const setting = (name) => asked("setting", [name]);
