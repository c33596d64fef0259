//! `[[person]]`: who may act on the page and through the API.

use super::ids::own_id;
use super::reader::{Table, Value};
use super::secret;
use crate::definition::Person;

/// The person that `table` describes.
pub(super) fn read(table: Table<'_>) -> Option<Person> {
    let id = own_id(&table);
    let name = table.get_if("name", Value::words);
    let token = table.need("token", "name where it is: token = { env = \"NINES_TOKEN_ANN\" } or { file = \"…\" }");
    let token = token.and_then(|value| secret::read(&value));
    table.finish();
    let id: nines_shared::id::PersonId = id?;
    Some(Person { name: name?.unwrap_or_else(|| id.to_string()), token: token?, id })
}
