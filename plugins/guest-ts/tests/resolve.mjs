// `ironrule:rules/NAME@VERSION` is `contract/NAME.mjs`; everything else is where it always is.
const CONTRACT = /^ironrule:rules\/([a-z]+)@1\.0\.0$/;

export function resolve(specifier, context, next) {
  const [, name] = specifier.match(CONTRACT) ?? [];
  if (name === undefined) return next(specifier, context);
  return { url: new URL(`./contract/${name}.mjs`, import.meta.url).href, shortCircuit: true };
}
