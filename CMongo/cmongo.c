#include "cmongo.h"

#include <mongoc/mongoc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT(c) ((mongoc_client_t *) (c))
#define SESSION(s) ((mongoc_client_session_t *) (s))
#define CURSOR(c) ((mongoc_cursor_t *) (c))

// ---- Replies ----

const char *cmongo_reply_message(const cmongo_reply *reply) {
    return reply->message;
}

void cmongo_reply_clear(cmongo_reply *reply) {
    bson_free(reply->document);
    memset(reply, 0, sizeof *reply);
}

static void set_error(cmongo_reply *reply, const bson_error_t *error) {
    reply->domain = error->domain;
    reply->code = error->code;
    bson_strncpy(reply->message, error->message, sizeof reply->message);
}

/// Moves `document`, which libmongoc has initialised, into the reply.
static void take_document(cmongo_reply *reply, bson_t *document) {
    bson_free(reply->document);
    reply->document = bson_destroy_with_steal(document, true, &reply->length);
}

static bool refuse(cmongo_reply *reply, const char *message) {
    reply->domain = MONGOC_ERROR_BSON;
    reply->code = MONGOC_ERROR_BSON_INVALID;
    bson_strncpy(reply->message, message, sizeof reply->message);
    return false;
}

// ---- Documents ----

/// A read-only bson_t over the caller's bytes: needs no destroy.
static bool view(cmongo_document document, bson_t *out, cmongo_reply *reply) {
    static const uint8_t empty[5] = {5, 0, 0, 0, 0};
    if (document.bytes == NULL) {
        return bson_init_static(out, empty, sizeof empty);
    }
    if (!bson_init_static(out, document.bytes, document.length)) {
        return refuse(reply, "a document's length does not match its bytes");
    }
    return true;
}

/// A copy of `document` with the session's id; to be destroyed by the caller, also on failure.
static bool with_session(cmongo_document document, cmongo_session *session, bson_t *out, cmongo_reply *reply) {
    bson_t source;
    bson_error_t error;
    if (!view(document, &source, reply)) {
        bson_init(out);
        return false;
    }
    bson_copy_to(&source, out);
    if (session != NULL && !mongoc_client_session_append(SESSION(session), out, &error)) {
        set_error(reply, &error);
        return false;
    }
    return true;
}

// ---- Start, pool ----

static cmongo_log_handler log_handler;

static void forward_log(mongoc_log_level_t level, const char *domain, const char *message, void *context) {
    (void) context;
    log_handler((int) level, domain, message);
}

void cmongo_initialize(cmongo_log_handler handler) {
    log_handler = handler;
    mongoc_log_set_handler(forward_log, NULL);
    mongoc_init();
}

const char *cmongo_version(void) {
    return mongoc_get_version();
}

static atomic_llong live_allocations;

static void *counting_malloc(size_t size) {
    atomic_fetch_add(&live_allocations, 1);
    return malloc(size);
}

static void *counting_calloc(size_t count, size_t size) {
    atomic_fetch_add(&live_allocations, 1);
    return calloc(count, size);
}

static void *counting_realloc(void *memory, size_t size) {
    if (memory == NULL) {
        atomic_fetch_add(&live_allocations, 1);
    }
    return realloc(memory, size);
}

static void counting_free(void *memory) {
    if (memory != NULL) {
        atomic_fetch_sub(&live_allocations, 1);
    }
    free(memory);
}

void cmongo_count_allocations(void) {
    bson_mem_vtable_t counting = {
        .malloc = counting_malloc,
        .calloc = counting_calloc,
        .realloc = counting_realloc,
        .free = counting_free,
    };
    bson_mem_set_vtable(&counting);
}

int64_t cmongo_live_allocations(void) {
    return atomic_load(&live_allocations);
}

struct cmongo_pool {
    /// Null when it has ended.
    mongoc_client_pool_t *clients;
    atomic_llong primary_changes;
    atomic_int electable;
};

/// Member and election by which this deployment has its primary, to be freed; null when it has none.
static char *find_primary(const mongoc_topology_description_t *topology, int *electable) {
    size_t count;
    mongoc_server_description_t **servers = mongoc_topology_description_get_servers(topology, &count);
    char *found = NULL;
    *electable = 0;
    for (size_t i = 0; i < count && found == NULL; i++) {
        if (strcmp(mongoc_server_description_type(servers[i]), "RSPrimary") != 0) {
            continue;
        }
        char election[25] = "";
        bson_iter_t field, host;
        const bson_t *hello = mongoc_server_description_hello_response(servers[i]);
        if (bson_iter_init_find(&field, hello, "electionId") && BSON_ITER_HOLDS_OID(&field)) {
            bson_oid_to_string(bson_iter_oid(&field), election);
        }
        for (int list = 0; list < 2; list++) {
            if (bson_iter_init_find(&field, hello, list == 0 ? "hosts" : "passives") && BSON_ITER_HOLDS_ARRAY(&field) &&
                bson_iter_recurse(&field, &host)) {
                while (bson_iter_next(&host)) {
                    (*electable)++;
                }
            }
        }
        found = bson_strdup_printf("%s %s", mongoc_server_description_host(servers[i])->host_and_port, election);
    }
    mongoc_server_descriptions_destroy_all(servers, count);
    return found;
}

/// libmongoc calls this before anybody is sent to where the new description says.
static void topology_changed(const mongoc_apm_topology_changed_t *event) {
    cmongo_pool *pool = mongoc_apm_topology_changed_get_context(event);
    int electable;
    char *before = find_primary(mongoc_apm_topology_changed_get_previous_description(event), &electable);
    char *after = find_primary(mongoc_apm_topology_changed_get_new_description(event), &electable);
    if (before == NULL ? after != NULL : after == NULL || strcmp(before, after) != 0) {
        atomic_fetch_add(&pool->primary_changes, 1);
    }
    atomic_store(&pool->electable, electable);
    bson_free(before);
    bson_free(after);
}

static void set_timeout(mongoc_uri_t *uri, const char *option, int32_t milliseconds) {
    if (!mongoc_uri_has_option(uri, option)) {
        mongoc_uri_set_option_as_int32(uri, option, milliseconds);
    }
}

cmongo_pool *cmongo_pool_new(const char *uri_string, const cmongo_pool_options *options, cmongo_reply *reply) {
    bson_error_t error;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(uri_string, &error);
    if (uri == NULL) {
        set_error(reply, &error);
        return NULL;
    }
    set_timeout(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, options->server_selection_timeout_ms);
    set_timeout(uri, MONGOC_URI_CONNECTTIMEOUTMS, options->connect_timeout_ms);
    set_timeout(uri, MONGOC_URI_SOCKETTIMEOUTMS, options->socket_timeout_ms);
    set_timeout(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, options->wait_queue_timeout_ms);
    set_timeout(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, options->heartbeat_ms);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, true);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, (int32_t) options->size);
    mongoc_uri_set_appname(uri, options->application_name);
    mongoc_client_pool_t *clients = mongoc_client_pool_new_with_error(uri, &error);
    mongoc_uri_destroy(uri);
    if (clients == NULL) {
        set_error(reply, &error);
        return NULL;
    }
    mongoc_client_pool_set_error_api(clients, MONGOC_ERROR_API_VERSION_2);
    cmongo_pool *pool = bson_malloc0(sizeof *pool);
    pool->clients = clients;
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_topology_changed_cb(callbacks, topology_changed);
    mongoc_client_pool_set_apm_callbacks(clients, callbacks, pool);
    mongoc_apm_callbacks_destroy(callbacks);
    return pool;
}

void cmongo_pool_end(cmongo_pool *pool) {
    if (pool->clients != NULL) {
        mongoc_client_pool_destroy(pool->clients);
    }
    pool->clients = NULL;
}

void cmongo_pool_free(cmongo_pool *pool) {
    cmongo_pool_end(pool);
    bson_free(pool);
}

int64_t cmongo_pool_primary_changes(const cmongo_pool *pool) {
    return atomic_load(&pool->primary_changes);
}

int32_t cmongo_pool_electable(const cmongo_pool *pool) {
    return atomic_load(&pool->electable);
}

cmongo_client *cmongo_pool_take(cmongo_pool *pool) {
    return (cmongo_client *) mongoc_client_pool_pop(pool->clients);
}

void cmongo_pool_give(cmongo_pool *pool, cmongo_client *client) {
    mongoc_client_pool_push(pool->clients, CLIENT(client));
}

// ---- Commands ----

bool cmongo_command(
    cmongo_client *client, cmongo_session *session, const char *database, cmongo_command_kind kind,
    cmongo_document command, cmongo_document options, cmongo_reply *reply) {
    bson_t body;
    bson_t opts;
    bson_t answer;
    bson_error_t error;
    bool ok = view(command, &body, reply);
    if (!ok) {
        return false;
    }
    if (!with_session(options, session, &opts, reply)) {
        bson_destroy(&opts);
        return false;
    }
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    switch (kind) {
    case CMONGO_COMMAND_READ:
        ok = mongoc_client_read_command_with_opts(CLIENT(client), database, &body, primary, &opts, &answer, &error);
        break;
    case CMONGO_COMMAND_WRITE:
        ok = mongoc_client_write_command_with_opts(CLIENT(client), database, &body, &opts, &answer, &error);
        break;
    case CMONGO_COMMAND_PLAIN:
    default:
        ok = mongoc_client_command_with_opts(CLIENT(client), database, &body, primary, &opts, &answer, &error);
        break;
    }
    mongoc_read_prefs_destroy(primary);
    bson_destroy(&opts);
    take_document(reply, &answer);
    if (!ok) {
        set_error(reply, &error);
    }
    return ok;
}

// ---- Cursors ----

cmongo_cursor *cmongo_find(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection_name,
    cmongo_document filter, cmongo_document options, cmongo_reply *reply) {
    bson_t query;
    bson_t opts;
    mongoc_cursor_t *cursor = NULL;
    if (!view(filter, &query, reply)) {
        return NULL;
    }
    if (with_session(options, session, &opts, reply)) {
        mongoc_collection_t *collection = mongoc_client_get_collection(CLIENT(client), database, collection_name);
        mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
        cursor = mongoc_collection_find_with_opts(collection, &query, &opts, primary);
        mongoc_read_prefs_destroy(primary);
        mongoc_collection_destroy(collection);
    }
    bson_destroy(&opts);
    return (cmongo_cursor *) cursor;
}

cmongo_cursor *cmongo_aggregate(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection_name,
    cmongo_document pipeline, cmongo_document options, cmongo_reply *reply) {
    bson_t stages;
    bson_t opts;
    mongoc_cursor_t *cursor = NULL;
    if (!view(pipeline, &stages, reply)) {
        return NULL;
    }
    if (with_session(options, session, &opts, reply)) {
        mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
        if (collection_name != NULL) {
            mongoc_collection_t *collection = mongoc_client_get_collection(CLIENT(client), database, collection_name);
            cursor = mongoc_collection_aggregate(collection, MONGOC_QUERY_NONE, &stages, &opts, primary);
            mongoc_collection_destroy(collection);
        } else {
            mongoc_database_t *db = mongoc_client_get_database(CLIENT(client), database);
            cursor = mongoc_database_aggregate(db, &stages, &opts, primary);
            mongoc_database_destroy(db);
        }
        mongoc_read_prefs_destroy(primary);
    }
    bson_destroy(&opts);
    return (cmongo_cursor *) cursor;
}

cmongo_cursor *cmongo_list_collections(
    cmongo_client *client, const char *database, cmongo_document options, cmongo_reply *reply) {
    bson_t opts;
    if (!view(options, &opts, reply)) {
        return NULL;
    }
    mongoc_database_t *db = mongoc_client_get_database(CLIENT(client), database);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(db, &opts);
    mongoc_database_destroy(db);
    return (cmongo_cursor *) cursor;
}

cmongo_cursor *cmongo_list_indexes(
    cmongo_client *client, const char *database, const char *collection_name, cmongo_document options,
    cmongo_reply *reply) {
    bson_t opts;
    if (!view(options, &opts, reply)) {
        return NULL;
    }
    mongoc_collection_t *collection = mongoc_client_get_collection(CLIENT(client), database, collection_name);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(collection, &opts);
    mongoc_collection_destroy(collection);
    return (cmongo_cursor *) cursor;
}

static void append(cmongo_batch *batch, const bson_t *document) {
    size_t needed = batch->length + document->len;
    if (needed > batch->capacity) {
        size_t capacity = batch->capacity < 4096 ? 4096 : batch->capacity * 2;
        if (capacity < needed) {
            capacity = needed;
        }
        batch->bytes = bson_realloc(batch->bytes, capacity);
        batch->capacity = capacity;
    }
    memcpy(batch->bytes + batch->length, bson_get_data(document), document->len);
    batch->length = needed;
    batch->count += 1;
}

bool cmongo_cursor_fill(
    cmongo_cursor *cursor, size_t max_count, size_t max_bytes, cmongo_batch *batch, cmongo_reply *reply) {
    const bson_t *document;
    const bson_t *answer = NULL;
    bson_error_t error;
    while (mongoc_cursor_next(CURSOR(cursor), &document)) {
        append(batch, document);
        bool full = batch->count >= max_count || batch->length >= max_bytes;
        // An id of 0 means that the server is done: what is left is in memory already.
        if (full && mongoc_cursor_get_id(CURSOR(cursor)) != 0) {
            return true;
        }
    }
    batch->exhausted = true;
    if (mongoc_cursor_error_document(CURSOR(cursor), &error, &answer)) {
        set_error(reply, &error);
        if (answer != NULL) {
            bson_t copy;
            bson_copy_to(answer, &copy);
            take_document(reply, &copy);
        }
        return false;
    }
    return true;
}

void cmongo_batch_clear(cmongo_batch *batch) {
    bson_free(batch->bytes);
    memset(batch, 0, sizeof *batch);
}

void cmongo_cursor_free(cmongo_cursor *cursor) {
    mongoc_cursor_destroy(CURSOR(cursor));
}

// ---- Writes ----

static bool add_write(mongoc_bulk_operation_t *bulk, const cmongo_write *write, cmongo_reply *reply) {
    bson_t target;
    bson_t change;
    bson_t opts;
    bson_error_t error;
    bool ok = false;
    if (!view(write->target, &target, reply) || !view(write->change, &change, reply)
        || !view(write->options, &opts, reply)) {
        return false;
    }
    switch (write->kind) {
    case CMONGO_INSERT:
        ok = mongoc_bulk_operation_insert_with_opts(bulk, &target, &opts, &error);
        break;
    case CMONGO_UPDATE_ONE:
        ok = mongoc_bulk_operation_update_one_with_opts(bulk, &target, &change, &opts, &error);
        break;
    case CMONGO_UPDATE_MANY:
        ok = mongoc_bulk_operation_update_many_with_opts(bulk, &target, &change, &opts, &error);
        break;
    case CMONGO_REPLACE_ONE:
        ok = mongoc_bulk_operation_replace_one_with_opts(bulk, &target, &change, &opts, &error);
        break;
    case CMONGO_DELETE_ONE:
        ok = mongoc_bulk_operation_remove_one_with_opts(bulk, &target, &opts, &error);
        break;
    case CMONGO_DELETE_MANY:
        ok = mongoc_bulk_operation_remove_many_with_opts(bulk, &target, &opts, &error);
        break;
    default:
        return refuse(reply, "unknown kind of write");
    }
    if (!ok) {
        set_error(reply, &error);
    }
    return ok;
}

bool cmongo_bulk_write(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection_name,
    cmongo_document options, const cmongo_write *writes, size_t count, cmongo_reply *reply) {
    bson_t opts;
    bson_t answer;
    bson_error_t error;
    if (!with_session(options, session, &opts, reply)) {
        bson_destroy(&opts);
        return false;
    }
    mongoc_collection_t *collection = mongoc_client_get_collection(CLIENT(client), database, collection_name);
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(collection, &opts);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        ok = add_write(bulk, &writes[i], reply);
    }
    if (ok) {
        ok = mongoc_bulk_operation_execute(bulk, &answer, &error) != 0;
        take_document(reply, &answer);
        if (!ok) {
            set_error(reply, &error);
        }
    }
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(collection);
    bson_destroy(&opts);
    return ok;
}

bool cmongo_find_and_modify(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection_name,
    const cmongo_find_and_modify_request *request, cmongo_reply *reply) {
    bson_t filter;
    bson_t update;
    bson_t sort;
    bson_t projection;
    bson_t extra;
    bson_t answer;
    bson_error_t error;
    if (!view(request->filter, &filter, reply) || !view(request->update, &update, reply)
        || !view(request->sort, &sort, reply) || !view(request->projection, &projection, reply)) {
        return false;
    }
    if (!with_session(request->options, session, &extra, reply)) {
        bson_destroy(&extra);
        return false;
    }
    int flags = MONGOC_FIND_AND_MODIFY_NONE;
    flags |= request->remove ? MONGOC_FIND_AND_MODIFY_REMOVE : 0;
    flags |= request->upsert ? MONGOC_FIND_AND_MODIFY_UPSERT : 0;
    flags |= request->return_new ? MONGOC_FIND_AND_MODIFY_RETURN_NEW : 0;
    mongoc_find_and_modify_opts_t *opts = mongoc_find_and_modify_opts_new();
    mongoc_find_and_modify_opts_set_flags(opts, (mongoc_find_and_modify_flags_t) flags);
    if (!request->remove) {
        mongoc_find_and_modify_opts_set_update(opts, &update);
    }
    if (request->sort.bytes != NULL) {
        mongoc_find_and_modify_opts_set_sort(opts, &sort);
    }
    if (request->projection.bytes != NULL) {
        mongoc_find_and_modify_opts_set_fields(opts, &projection);
    }
    mongoc_find_and_modify_opts_append(opts, &extra);
    mongoc_collection_t *collection = mongoc_client_get_collection(CLIENT(client), database, collection_name);
    bool ok = mongoc_collection_find_and_modify_with_opts(collection, &filter, opts, &answer, &error);
    take_document(reply, &answer);
    if (!ok) {
        set_error(reply, &error);
    }
    mongoc_collection_destroy(collection);
    mongoc_find_and_modify_opts_destroy(opts);
    bson_destroy(&extra);
    return ok;
}

// ---- Sessions and transactions ----

cmongo_session *cmongo_session_start(cmongo_client *client, cmongo_reply *reply) {
    bson_error_t error;
    mongoc_client_session_t *session = mongoc_client_start_session(CLIENT(client), NULL, &error);
    if (session == NULL) {
        set_error(reply, &error);
    }
    return (cmongo_session *) session;
}

void cmongo_session_end(cmongo_session *session) {
    mongoc_client_session_destroy(SESSION(session));
}

bool cmongo_transaction_start(cmongo_session *session, const cmongo_transaction_options *options, cmongo_reply *reply) {
    bson_error_t error;
    mongoc_transaction_opt_t *opts = mongoc_transaction_opts_new();
    mongoc_write_concern_t *write_concern = mongoc_write_concern_new();
    mongoc_read_concern_t *read_concern = mongoc_read_concern_new();
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    if (options->read_concern != NULL) {
        mongoc_read_concern_set_level(read_concern, options->read_concern);
    }
    mongoc_write_concern_set_w(write_concern, options->w < 0 ? MONGOC_WRITE_CONCERN_W_MAJORITY : options->w);
    mongoc_write_concern_set_journal(write_concern, options->journal);
    if (options->write_timeout_ms > 0) {
        mongoc_write_concern_set_wtimeout_int64(write_concern, options->write_timeout_ms);
    }
    mongoc_transaction_opts_set_read_concern(opts, read_concern);
    mongoc_transaction_opts_set_write_concern(opts, write_concern);
    mongoc_transaction_opts_set_read_prefs(opts, primary);
    if (options->max_commit_time_ms > 0) {
        mongoc_transaction_opts_set_max_commit_time_ms(opts, options->max_commit_time_ms);
    }
    bool ok = mongoc_client_session_start_transaction(SESSION(session), opts, &error);
    if (!ok) {
        set_error(reply, &error);
    }
    mongoc_read_prefs_destroy(primary);
    mongoc_read_concern_destroy(read_concern);
    mongoc_write_concern_destroy(write_concern);
    mongoc_transaction_opts_destroy(opts);
    return ok;
}

bool cmongo_transaction_commit(cmongo_session *session, cmongo_reply *reply) {
    bson_t answer;
    bson_error_t error;
    bool ok = mongoc_client_session_commit_transaction(SESSION(session), &answer, &error);
    take_document(reply, &answer);
    if (!ok) {
        set_error(reply, &error);
    }
    return ok;
}

bool cmongo_transaction_abort(cmongo_session *session, cmongo_reply *reply) {
    bson_error_t error;
    bool ok = mongoc_client_session_abort_transaction(SESSION(session), &error);
    if (!ok) {
        set_error(reply, &error);
    }
    return ok;
}
