import { beforeWrite, definePlugin, log } from "@ironrule/rules";

export const rules = definePlugin({
  name: "PLUGIN_NAME",
  version: "0.1.0",
  rules: [
    beforeWrite({
      name: "no-shouting",
      collections: ["posts"],
      operations: ["create", "update"],
      run({ after, fail, patch }) {
        const title = String(after.title ?? "");
        if (title !== "" && title === title.toUpperCase() && title !== title.toLowerCase()) {
          log.info("refused a title", { title });
          fail("/title", "title.shouting", "do not shout");
          return;
        }
        patch({ words: title.split(/\s+/).filter(Boolean).length });
      },
    }),
  ],
});
