//! `dcm route`: which documents go to which queue and actor.

use serde_json::json;

use crate::cli::args::{RouteAddArgs, RouteTarget};
use crate::cli::error::{Error, Kind};
use crate::cli::output;
use crate::cli::session::Session;
use crate::model::{DocumentRoute, Target};
use crate::store::OperatorStore;
use crate::wire;

pub(super) async fn add(
    session: &Session,
    store: &dyn OperatorStore,
    args: RouteAddArgs,
) -> Result<(), Error> {
    let RouteAddArgs { pattern, queue, actor, priority } = args;
    let target = Target { queue, actor };
    let priority = i64::from(priority);
    let known = store.document_routes().await?;
    if let Some(same) = known.iter().find(|known| known.pattern == pattern && known.target == target) {
        let error = format!("there is this route already: {}, with priority {}", same.id.0, same.priority);
        return Err(Error::failed(error).hint(format!("dcm route remove {} removes it", same.id.0)));
    }
    let id = store.add_document_route(pattern.clone(), target.clone(), priority).await?;
    let route = DocumentRoute { id, pattern, target, priority };
    if session.json {
        output::json(&wire::DocumentRoute::of(&route));
    } else {
        let Target { queue, actor } = &route.target;
        output::line(format_args!("route {}: {} goes to {actor} by {queue}", route.id.0, route.pattern));
    }
    Ok(())
}

pub(super) async fn list(session: &Session, store: &dyn OperatorStore) -> Result<(), Error> {
    let routes = store.document_routes().await?;
    if session.json {
        output::json_rows(routes.iter().map(wire::DocumentRoute::of));
        return Ok(());
    }
    if routes.is_empty() {
        output::message("there is no route; dcm route add PATTERN --queue QUEUE --actor ACTOR adds one");
        return Ok(());
    }
    let cells = |route: &DocumentRoute| {
        vec![
            route.id.0.to_string(),
            route.priority.to_string(),
            route.pattern.clone(),
            route.target.queue.clone(),
            route.target.actor.clone(),
        ]
    };
    output::table(
        &["ID", "PRIORITY", "PATTERN", "QUEUE", "ACTOR"],
        &routes.iter().map(cells).collect::<Vec<_>>(),
    );
    Ok(())
}

pub(super) async fn remove(
    session: &Session,
    store: &dyn OperatorStore,
    targets: &[RouteTarget],
) -> Result<(), Error> {
    let routes = store.document_routes().await?;
    let mut meant: Vec<&DocumentRoute> = Vec::new();
    for target in targets {
        let found: Vec<_> = routes
            .iter()
            .filter(|route| match target {
                RouteTarget::Id(id) => route.id == *id,
                RouteTarget::Pattern(pattern) => route.pattern == *pattern,
            })
            .collect();
        if found.is_empty() {
            let name = match target {
                RouteTarget::Id(id) => id.0.to_string(),
                RouteTarget::Pattern(pattern) => pattern.clone(),
            };
            return Err(Error::new(Kind::NoSuchApp, format!("no such route: {name}"))
                .hint("dcm route list names them"));
        }
        meant.extend(found);
    }
    meant.sort_by_key(|route| route.id);
    meant.dedup_by_key(|route| route.id);
    for route in &meant {
        store.remove_document_route(route.id).await?;
    }
    if session.json {
        let ids: Vec<_> = meant.iter().map(|route| route.id.0).collect();
        output::json(&json!({ "removed": ids.len(), "ids": ids }));
    } else {
        output::lines(meant.iter().map(|route| format!("route {} ({}) removed", route.id.0, route.pattern)));
    }
    Ok(())
}
