//! `proxy = "http://proxy.example:3128"`, or a table with the user and the place of the password beside the URL.

use nines_shared::check::{BasicAuth, HttpProxy};
use url::Url;

use super::reader::Value;
use super::secret;

/// The proxy that `value` names.
pub(super) fn read(value: &Value<'_>) -> Option<HttpProxy> {
    if value.peek().is_some() {
        return Some(HttpProxy { url: address(value)?, auth: None });
    }
    let table = value.table()?;
    let url = table.need("url", "write where it is: url = \"http://proxy.example:3128\"");
    let url = url.and_then(|value| address(&value));
    let user = table.get_if("user", |value| value.text().map(ToOwned::to_owned));
    let password = table.get_if("password", secret::read);
    table.finish();
    let auth = match (user?, password?) {
        (Some(user), Some(password)) => Some(BasicAuth { user, password }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            let mend =
                "write both, as user = \"nines\", password = { env = \"PROXY_PASSWORD\" }, or neither".to_owned();
            table.notes.error(&table.spot, "user and password belong together", Some(mend));
            return None;
        }
    };
    Some(HttpProxy { url: url?, auth })
}

fn address(value: &Value<'_>) -> Option<Url> {
    let text = value.text()?;
    let mend = "write http://proxy.example:3128";
    let url: Url = value.accept(text.parse().map_err(|_not_a_url| format!("{text:?} is no proxy; {mend}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        value.error("the URL names a user; write user = … and password = { env = … } beside url");
        return None;
    }
    Some(url)
}
