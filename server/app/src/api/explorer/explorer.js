/** Starts Swagger UI on this server's document, and keeps its bearer token in step with the logins that are executed in it. */
"use strict";

const SCHEME = "bearerAuth";

const explorer = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#explorer",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: true,
  tryItOutEnabled: true,
  responseInterceptor: follow,
  plugins: [() => ({ wrapComponents: { Markdown: withoutHtml } })],
});

/** A login or a refresh that succeeds signs the explorer in, a logout signs it out. */
function follow(response) {
  if (!response.ok) return response;
  const path = new URL(response.url, location.href).pathname;
  if (path.endsWith("/api/auth/login") || path.endsWith("/api/auth/refresh")) {
    const token = response.body?.access_token;
    if (token) {
      explorer.preauthorizeApiKey(SCHEME, token);
      explorer.authActions.persistAuthorizationIfNeeded();
    }
  } else if (path.endsWith("/api/auth/logout")) {
    explorer.authActions.logoutWithPersistOption([SCHEME]);
  }
  return response;
}

/** Descriptions are Markdown; HTML in them is shown and not used. In code, Markdown takes `<` as it is. */
function withoutHtml(Markdown, { React }) {
  const plain = (source) => source.replace(/(`+)[^]*?\1|</g, (found) => (found === "<" ? "&lt;" : found));
  return (props) => React.createElement(Markdown, { ...props, source: props.source && plain(props.source) });
}
