// A small wrapper around libmongoc that Swift can import: no macros, no variadic functions, no libmongoc structs.
//
// BSON crosses as bytes, in both directions. Every handle is opaque. A client, its sessions and its cursors may be
// used by one thread at a time; the pool by any. Compiles against libmongoc 1.23 to 1.30.
#ifndef CMONGO_H
#define CMONGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cmongo_pool cmongo_pool;
typedef struct cmongo_client cmongo_client;
typedef struct cmongo_session cmongo_session;
typedef struct cmongo_cursor cmongo_cursor;

/// One BSON document (or array) in the caller's memory; a null pointer stands for an empty document.
typedef struct {
    const uint8_t *bytes;
    size_t length;
} cmongo_document;

/// What an operation answered: an error (domain and code are libmongoc's) and the reply document, either may be empty.
/// Zero it before use, give it to `cmongo_reply_clear` afterwards.
typedef struct {
    uint32_t domain;
    uint32_t code;
    char message[512];
    uint8_t *document;
    uint32_t length;
} cmongo_reply;

/// The message of a reply, never null, terminated.
const char *cmongo_reply_message(const cmongo_reply *reply);
void cmongo_reply_clear(cmongo_reply *reply);

/// Levels as in libmongoc: 0 error, 1 critical, 2 warning, 3 message, 4 info, 5 debug, 6 trace.
typedef void (*cmongo_log_handler)(int level, const char *domain, const char *message);

/// Initialises libmongoc and sends its log to `handler`, which may be called on any thread. Call once.
void cmongo_initialize(cmongo_log_handler handler);
const char *cmongo_version(void);

/// Counts what libmongoc and libbson allocate and have not freed: for tests that look for leaks. Call before everything
/// else; costs two atomic additions per allocation.
void cmongo_count_allocations(void);
int64_t cmongo_live_allocations(void);

typedef struct {
    const char *application_name;
    uint32_t size;
    int32_t server_selection_timeout_ms;
    int32_t connect_timeout_ms;
    int32_t socket_timeout_ms;
    int32_t wait_queue_timeout_ms;
    int32_t heartbeat_ms;
} cmongo_pool_options;

/// Null, with the reason in `reply`, if the URI is not valid. A time that the URI names is kept, the others are set
/// from `options`, as is the application name in any case; retryable reads and writes are always on. Does not connect.
cmongo_pool *cmongo_pool_new(const char *uri, const cmongo_pool_options *options, cmongo_reply *reply);
/// Ends the connections; every client must be back, and none can be taken any more.
void cmongo_pool_end(cmongo_pool *pool);
/// Ends it if it has not ended.
void cmongo_pool_free(cmongo_pool *pool);
/// How often another member was found to be primary, or the same one elected anew, or none: nobody is sent to a primary before
/// it is counted. By any thread, also after the end.
int64_t cmongo_pool_primary_changes(const cmongo_pool *pool);
/// How many members may be primary, as the present one says; 0 when there is none, or no replica set.
int32_t cmongo_pool_electable(const cmongo_pool *pool);
/// Null only if more clients are taken than the pool's size, after the wait queue's timeout.
cmongo_client *cmongo_pool_take(cmongo_pool *pool);
void cmongo_pool_give(cmongo_pool *pool, cmongo_client *client);

/// How a command is sent.
typedef enum {
    /// As it is: nothing added but the session, never retried.
    CMONGO_COMMAND_PLAIN = 0,
    /// `options` may hold a read concern; retried once after a network error.
    CMONGO_COMMAND_READ = 1,
    /// `options` may hold a write concern, whose failure is an error.
    CMONGO_COMMAND_WRITE = 2,
} cmongo_command_kind;

/// `session` is null outside a transaction, here and below. False on failure; `reply` is filled in both cases.
bool cmongo_command(
    cmongo_client *client, cmongo_session *session, const char *database, cmongo_command_kind kind,
    cmongo_document command, cmongo_document options, cmongo_reply *reply);

/// Opening a cursor sends nothing: the first fill does. Never null, unless the session cannot be used (see `reply`).
cmongo_cursor *cmongo_find(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection,
    cmongo_document filter, cmongo_document options, cmongo_reply *reply);
/// `pipeline` is a BSON array; a null `collection` aggregates on the database itself.
cmongo_cursor *cmongo_aggregate(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection,
    cmongo_document pipeline, cmongo_document options, cmongo_reply *reply);
cmongo_cursor *cmongo_list_collections(
    cmongo_client *client, const char *database, cmongo_document options, cmongo_reply *reply);
cmongo_cursor *cmongo_list_indexes(
    cmongo_client *client, const char *database, const char *collection, cmongo_document options, cmongo_reply *reply);

/// Documents one after the other, each with its own length in front, as BSON has it.
typedef struct {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    size_t count;
    /// No further document will come, and the server holds nothing for this cursor any more.
    bool exhausted;
} cmongo_batch;

/// Appends documents to `batch` until there are `max_count` of them or `max_bytes`, or the cursor is exhausted. Goes on
/// past these limits while that needs no network. False on failure, with what was read so far in `batch`.
bool cmongo_cursor_fill(
    cmongo_cursor *cursor, size_t max_count, size_t max_bytes, cmongo_batch *batch, cmongo_reply *reply);
void cmongo_batch_clear(cmongo_batch *batch);
/// Tells the server to forget the cursor if it is still open.
void cmongo_cursor_free(cmongo_cursor *cursor);

typedef enum {
    CMONGO_INSERT = 0,
    CMONGO_UPDATE_ONE = 1,
    CMONGO_UPDATE_MANY = 2,
    CMONGO_REPLACE_ONE = 3,
    CMONGO_DELETE_ONE = 4,
    CMONGO_DELETE_MANY = 5,
} cmongo_write_kind;

typedef struct {
    cmongo_write_kind kind;
    /// The document to insert, or the filter.
    cmongo_document target;
    /// The update (a document, or a BSON array for a pipeline) or the replacement.
    cmongo_document change;
    /// upsert, hint, arrayFilters.
    cmongo_document options;
} cmongo_write;

/// `options` may hold ordered, writeConcern and let. `reply` holds the counts and the errors by index.
bool cmongo_bulk_write(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection,
    cmongo_document options, const cmongo_write *writes, size_t count, cmongo_reply *reply);

typedef struct {
    bool remove;
    bool upsert;
    bool return_new;
    cmongo_document filter;
    /// A document, or a BSON array for a pipeline; unused when removing.
    cmongo_document update;
    cmongo_document sort;
    cmongo_document projection;
    /// Further fields of the command: writeConcern, hint, arrayFilters, let.
    cmongo_document options;
} cmongo_find_and_modify_request;

bool cmongo_find_and_modify(
    cmongo_client *client, cmongo_session *session, const char *database, const char *collection,
    const cmongo_find_and_modify_request *request, cmongo_reply *reply);

typedef struct {
    /// A read concern level, or null for the server's default.
    const char *read_concern;
    /// Number of nodes, or -1 for majority.
    int32_t w;
    bool journal;
    /// 0: none.
    int64_t write_timeout_ms;
    /// 0: none.
    int64_t max_commit_time_ms;
} cmongo_transaction_options;

cmongo_session *cmongo_session_start(cmongo_client *client, cmongo_reply *reply);
/// Aborts a transaction that is still open.
void cmongo_session_end(cmongo_session *session);
bool cmongo_transaction_start(cmongo_session *session, const cmongo_transaction_options *options, cmongo_reply *reply);
bool cmongo_transaction_commit(cmongo_session *session, cmongo_reply *reply);
bool cmongo_transaction_abort(cmongo_session *session, cmongo_reply *reply);

#endif
