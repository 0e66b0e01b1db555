//! `/v1/batches`: accepted and kept, but never worked on.

use serde_json::{Value, json};

use super::shelf::Shelf;
use crate::answer::{Answer, Refusal};
use crate::identity;
use crate::question::Question;

const DAY: u64 = 86_400;

pub(super) fn create(shelf: &Shelf, question: &Question) -> Result<Answer, Refusal> {
    let input_file = question.required("input_file_id")?;
    let endpoint = question.required("endpoint")?;
    let window = question.required("completion_window")?;
    let id = identity::fresh_hex("batch_", 32);
    let now = identity::now();
    let batch = json!({
        "id": id,
        "object": "batch",
        "endpoint": endpoint,
        "errors": null,
        "input_file_id": input_file,
        "completion_window": window,
        "status": "validating",
        "output_file_id": null,
        "error_file_id": null,
        "created_at": now,
        "in_progress_at": null,
        "expires_at": now + DAY,
        "finalizing_at": null,
        "completed_at": null,
        "failed_at": null,
        "expired_at": null,
        "cancelling_at": null,
        "cancelled_at": null,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": question.json.get("metadata"),
    });
    shelf.batches.put(&id, batch.clone());
    Ok(Answer::json(&batch))
}

pub(super) fn list(shelf: &Shelf) -> Answer {
    let batches = shelf.batches.all();
    let id = |batch: Option<&Value>| batch.map(|batch| batch["id"].clone());
    Answer::json(&json!({
        "object": "list",
        "first_id": id(batches.first()),
        "last_id": id(batches.last()),
        "data": batches,
        "has_more": false,
    }))
}

pub(super) fn retrieve(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let batch = shelf.batches.get(id).ok_or_else(|| Refusal::unknown("Batch", id))?;
    Ok(Answer::json(&batch))
}

pub(super) fn cancel(shelf: &Shelf, id: &str) -> Result<Answer, Refusal> {
    let mut batch = shelf.batches.get(id).ok_or_else(|| Refusal::unknown("Batch", id))?;
    batch["status"] = json!("cancelling");
    batch["cancelling_at"] = json!(identity::now());
    shelf.batches.put(id, batch.clone());
    Ok(Answer::json(&batch))
}
