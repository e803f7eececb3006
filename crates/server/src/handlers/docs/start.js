// Shows the description of the server that this page came from. No other may be named: a page that
// shows whatever an address says would lend this server's name to anybody.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#interface",
  deepLinking: true,
  docExpansion: "list",
  validatorUrl: null,
  queryConfigEnabled: false,
});
