// `ironrule:rules/records`, with the names that the engine gives its functions.
import { asked } from "../host.mjs";

export const get = (...given) => asked("get", given);
export const getMany = (...given) => asked("getMany", given);
export const query = (...given) => asked("query", given);
export const create = (...given) => asked("create", given);
export const update = (...given) => asked("update", given);
export { remove as delete };

const remove = (...given) => asked("delete", given);
