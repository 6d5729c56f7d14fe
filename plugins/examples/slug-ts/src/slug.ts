// A slug for every post, and text that a browser can be given: what clients send is neither trusted nor thrown away.
import { beforeWrite, definePlugin, records, type Context } from "@ironrule/rules";

const SLUG_MAX = 80;

export const rules = definePlugin({
  name: "slug",
  version: "1.0.0",
  grants: { query: ["posts"] },
  rules: [beforeWrite({ name: "slug-and-sanitise", collections: ["posts"], operations: ["create", "update"], run: slugAndSanitise })],
});

function slugAndSanitise(context: Context) {
  const { before, after } = context;
  const title = typeof after?.title === "string" ? after.title : "";
  if (after?.slug == null || (before && before.title !== title && after.slug === before.slug)) {
    const wanted = slug(title);
    if (wanted === "") context.fail("/title", "slug.empty", "the title has no letter or digit to make an address of");
    else context.patch({ slug: free(wanted, context.id) });
  } else if (slug(String(after.slug)) !== after.slug) {
    context.fail("/slug", "slug.malformed", "a slug has lowercase letters, digits and hyphens only");
  }
  if (typeof after?.body === "string") context.patch({ body: sanitised(after.body) });
}

/** Letters and digits of the title, without accents, with hyphens between the words. */
function slug(title: string): string {
  const plain = title.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/ß/g, "ss").toLowerCase();
  return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, SLUG_MAX).replace(/-+$/, "");
}

/** The slug, with a number if another post has it: searches and writers of posts take turns, so nobody gets the same one. */
function free(wanted: string, id: string): string {
  for (let number = 1; number < 20; number += 1) {
    const candidate = number === 1 ? wanted : `${wanted}-${number}`;
    const others = records.query<{ id: string }>("posts", { filter: `record.slug == "${candidate}"`, limit: 2 });
    if (others.every((other) => other.id === id)) return candidate;
  }
  return `${wanted}-${id.slice(-6).toLowerCase()}`;
}

const ALLOWED = new Set(["p", "br", "b", "strong", "i", "em", "u", "code", "pre", "ul", "ol", "li", "blockquote", "h2", "h3"]);

/** Plain tags of a short list stay, without attributes; everything else becomes text. */
function sanitised(html: string): string {
  return html.replace(/<(\/?)([a-z][a-z0-9]*)\s*\/?>|[<>]|&(?![a-z]+;|#\d+;)/gi, (found, slash, name) => {
    if (name && ALLOWED.has(name.toLowerCase())) return `<${slash}${name.toLowerCase()}>`;
    return found.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  });
}
