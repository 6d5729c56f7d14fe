import { beforeWrite, definePlugin, type Context } from "@ironrule/rules";

/** Or generate the types of your collections from a running server: `npx ironrule-types http://127.0.0.1:8090`. */
interface Post {
  title: string;
  words?: number;
}

export const rules = definePlugin({
  name: "PLUGIN_NAME",
  version: "0.1.0",
  rules: [
    beforeWrite({
      name: "no-shouting",
      collections: ["posts"],
      operations: ["create", "update"],
      run({ after, fail, patch }: Context<Post>) {
        const title = String(after?.title ?? "");
        if (title !== "" && title === title.toUpperCase() && title !== title.toLowerCase()) {
          fail("/title", "title.shouting", "do not shout");
          return;
        }
        patch({ words: title.split(/\s+/).filter(Boolean).length });
      },
    }),
  ],
});
