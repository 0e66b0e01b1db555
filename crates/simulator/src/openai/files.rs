//! `/v1/files`: uploads, kept in memory.

use serde_json::{Value, json};

use super::form::Form;
use super::shelf::{File, Shelf};
use crate::answer::{Answer, Refusal};
use crate::identity;
use crate::question::Question;

pub(super) async fn create(shelf: &Shelf, question: &Question) -> Result<Answer, Refusal> {
    if !question.is_form() {
        return Err(Refusal::missing("file"));
    }
    let form = Form::of(question).await?;
    let file = form.required("file")?;
    let purpose = form.text("purpose").ok_or_else(|| Refusal::missing("purpose"))?;
    let id = identity::fresh("file-", 22);
    let description = json!({
        "id": id,
        "object": "file",
        "bytes": file.content.len(),
        "created_at": identity::now(),
        "expires_at": null,
        "filename": file.file_name.as_deref().unwrap_or("upload"),
        "purpose": purpose,
        "status": "processed",
        "status_details": null,
    });
    shelf.files.put(&id, File { description: description.clone(), content: file.content.clone() });
    Ok(Answer::json(&description))
}

pub(super) fn list(shelf: &Shelf) -> Answer {
    let files: Vec<Value> = shelf.files.all().into_iter().map(|file| file.description).collect();
    let id = |file: Option<&Value>| file.map(|file| file["id"].clone());
    Answer::json(&json!({
        "object": "list", "data": files, "first_id": id(files.first()), "last_id": id(files.last()), "has_more": false,
    }))
}

pub(super) fn retrieve(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let file = shelf.files.get(id).ok_or_else(|| Refusal::unknown("File", id))?;
    Ok(Answer::json(&file.description))
}

pub(super) fn content(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let file = shelf.files.get(id).ok_or_else(|| Refusal::unknown("File", id))?;
    Ok(Answer::document("application/octet-stream", file.content))
}

pub(super) fn delete(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    shelf.files.take(id).ok_or_else(|| Refusal::unknown("File", id))?;
    Ok(Answer::json(&json!({"id": id, "object": "file", "deleted": true})))
}
