/** Uses the API explorer (Swagger UI) as a person does: by what is on the page. */

export class Explorer {
  constructor(page, url) {
    this.page = page;
    this.url = url;
  }

  /** Opens the explorer, or opens it anew; returns the headers of the page. */
  async open() {
    const response = await this.page.goto(`${this.url}/docs`);
    await this.page.locator(".opblock-tag").first().waitFor();
    for (const tag of await this.page.locator('.opblock-tag[data-is-open="false"]').all()) await tag.click();
    return response.headers();
  }

  /** The line of one operation. */
  operation(method, path) {
    const shownPath = this.page.locator(`.opblock-summary-path[data-path="${path}"]`);
    return this.page.locator(`.opblock-${method.toLowerCase()}`).filter({ has: shownPath });
  }

  /** Tries an operation out and returns the answer that the page shows. */
  async execute(method, path, { body, parameters = {} } = {}) {
    const operation = this.operation(method, path);
    await this.#expand(operation);
    for (const [name, value] of Object.entries(parameters)) {
      await operation.locator(`tr[data-param-name="${name}"] :is(input, select)`).first().fill(value);
    }
    if (body) await operation.locator("textarea.body-param__text").fill(JSON.stringify(body));
    if (await operation.locator(".btn-clear").count()) await operation.locator(".btn-clear").click();
    await operation.locator(".execute.btn").click();
    return this.#answer(operation);
  }

  /** Puts a bearer token through the Authorize dialog. */
  async authorize(token) {
    await this.page.locator(".auth-wrapper .btn.authorize").click();
    const dialog = this.page.locator(".dialog-ux");
    const scheme = dialog.locator(".auth-container").filter({ hasText: /http,\s*bearer/i });
    await scheme.locator("input").fill(token);
    await scheme.locator(".btn.authorize").click();
    await scheme.getByRole("button", { name: "Remove authorization" }).waitFor();
    await dialog.locator(".btn-done").click();
    await dialog.waitFor({ state: "detached" });
  }

  async #expand(operation) {
    if (await operation.locator(".opblock-body").count()) return;
    await operation.locator(".opblock-summary-control").click();
    await operation.locator(".opblock-body").waitFor();
    const tryOut = operation.locator(".try-out__btn:not(.cancel)");
    if (await tryOut.count()) await tryOut.click();
  }

  async #answer(operation) {
    const live = operation.locator(".live-responses-table .response");
    await live.waitFor();
    const status = Number.parseInt(await live.locator(".response-col_status").innerText(), 10);
    const shown = await live.locator(".highlight-code code").first().textContent();
    return { status, body: JSON.parse(shown), row: live };
  }
}
