#include "service/ctl.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/json_head.h"
#include "util/buf.h"

#define MARK      "RDC1"
#define MARK_SIZE (sizeof MARK - 1)

json_t *ctl_decode(struct bytes payload)
{
    char error[128];
    if (payload.size <= MARK_SIZE || payload.size > CTL_MAX_SIZE ||
        memcmp(payload.data, MARK, MARK_SIZE) != 0) {
        return NULL;
    }
    json_t *message =
        json_head_parse(payload.data + MARK_SIZE, payload.size - MARK_SIZE, error, sizeof error);
    if (!json_is_string(json_object_get(message, "op"))) {
        json_decref(message);
        return NULL;
    }
    return message;
}

int ctl_send(struct mesh *mesh, const struct peer_id *to, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    struct buf buf;
    int rc = -ENOMEM;
    json_decref(message);
    buf_init(&buf);
    if (text != NULL && buf_append(&buf, bytes_make(MARK, MARK_SIZE)) == 0 &&
        buf_append(&buf, bytes_from_string(text)) == 0) {
        rc = buf_size(&buf) > CTL_MAX_SIZE
                 ? -EMSGSIZE
                 : mesh_send(mesh, to, WIRE_APP, CTL_CHANNEL_ID, buf_view(&buf));
    }
    buf_fini(&buf);
    free(text);
    return rc < 0 ? rc : 0;
}

const char *ctl_text(const json_t *message, const char *name, size_t max)
{
    const json_t *value = json_object_get(message, name);
    return json_is_string(value) && json_string_length(value) <= max ? json_string_value(value)
                                                                     : NULL;
}
