//! A column that gets another name, with everything in it.

use model::Collection;

use crate::{Error, transaction::Run};

/// Moves what stored records have in one column into another, which must be empty. The old column stays until
/// [`crate::schema::remove_leftovers`] takes it away, with its indexes.
///
/// # Errors
/// What the database reports.
pub async fn rename(run: &impl Run, collection: &Collection, old: &str, new: &str) -> Result<(), Error> {
    let table = collection.name();
    // Decimals keep how many digits they were written with beside them. The test of the value is written as in conditions: not with `!=`
    // alone, for which an index would be asked, where a list stands once for each of its elements.
    let text = format!(
        "UPDATE `{table}` SET `{new}` = `{old}` WHERE (`{old}` ?? NONE) != NONE RETURN NONE;
         UPDATE `{table}` SET `_scales`.`{new}` = `_scales`.`{old}` WHERE `_scales`.`{old}` != NONE RETURN NONE;
         UPDATE `{table}` UNSET `_scales`.`{old}` WHERE `_scales`.`{old}` != NONE RETURN NONE;"
    );
    run.run(text, Vec::new()).await.map(drop)
}
