//! The page of the description: whole, and from nowhere else.

use crate::server::TestServer;

/// What a tag of the page refers to.
fn references(page: &str) -> Vec<&str> {
    ["src=\"", "href=\""]
        .into_iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

#[test]
fn the_page_has_all_it_needs() {
    let server = TestServer::start();
    let page = server.get("/docs");
    assert_eq!(page.status, 200);
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    let references = references(&page.body);
    assert!(references.len() >= 5, "{references:?}");
    for reference in references {
        assert!(reference.starts_with('/'), "{reference} is elsewhere");
        let mut file = ureq::get(server.url(reference)).call().unwrap();
        let bytes = file.body_mut().read_to_vec().unwrap();
        let content_type = file.headers()["content-type"].to_str().unwrap();
        let expected = match reference.rsplit('.').next().unwrap() {
            "css" => "text/css",
            "js" => "text/javascript",
            "png" => "image/png",
            "json" => "application/json",
            other => panic!("{other}"),
        };
        assert_eq!(content_type, expected, "{reference}");
        assert!(bytes.len() > 200, "{reference}");
    }
}

#[test]
fn the_page_may_load_from_nowhere_else() {
    let server = TestServer::start();
    for path in ["/docs", "/docs/start.js", "/docs/swagger-ui.css"] {
        let reply = server.get(path);
        let policy = reply.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    }
}

#[test]
fn other_files_are_not_found() {
    let server = TestServer::start();
    for file in ["index.html", "nothing.js", "..%2f..%2fCargo.toml", "%00"] {
        let reply = server.get(&format!("/docs/{file}"));
        assert!([400, 404].contains(&reply.status), "{file}: {reply:?}");
    }
}
