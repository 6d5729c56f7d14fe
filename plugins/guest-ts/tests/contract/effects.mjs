// `ironrule:rules/effects`.
import { asked } from "../host.mjs";

export const enqueue = (...given) => asked("enqueue", given);
