/* A program that takes part in the demo: ./run demo starts it beside the Python ones (member.py),
 * which obey the same lines. It sends what its standard input tells it to, and prints what arrives:
 *
 *   string PEER HEX | binary PEER HEX | json PEER HEX | channel PEER HEX | quit
 *   ready PEER | connected PEER | disconnected PEER | sent | failed CODE TEXT | got KIND PEER HEX
 */
#include <librats.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL "demo.chat"

static void print_got(const char *kind, const char *peer_id, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    flockfile(stdout);
    printf("got %s %s ", kind, peer_id);
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
    fflush(stdout);
    funlockfile(stdout);
}

static void on_connected(void *user_data, const char *peer_id)
{
    (void)user_data;
    printf("connected %s\n", peer_id);
    fflush(stdout);
}

static void on_disconnected(void *user_data, const char *peer_id)
{
    (void)user_data;
    printf("disconnected %s\n", peer_id);
    fflush(stdout);
}

static void on_string(void *user_data, const char *peer_id, const char *message)
{
    (void)user_data;
    print_got("string", peer_id, message, strlen(message));
}

static void on_binary(void *user_data, const char *peer_id, const void *data, size_t size)
{
    (void)user_data;
    print_got("binary", peer_id, data, size);
}

static void on_json(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    print_got("json", peer_id, text, strlen(text));
}

static void on_channel(void *user_data, const char *peer_id, const char *channel, const void *data,
                       size_t size)
{
    (void)user_data;
    (void)channel;
    print_got("channel", peer_id, data, size);
}

/* The bytes hex stands for, and a NUL after them; NULL when it is not hex. To be freed. */
static char *parse_hex(const char *hex, size_t *ret_size)
{
    const size_t size = strlen(hex) / 2;
    char *bytes = malloc(size + 1);

    for (size_t i = 0; bytes != NULL && i < size; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        char *end = NULL;
        bytes[i] = (char)strtoul(digits, &end, 16);
        if (*end != '\0') {
            free(bytes);
            return NULL;
        }
    }
    if (bytes != NULL) {
        bytes[size] = '\0';
        *ret_size = size;
    }
    return bytes;
}

static int send_payload(rats_client_t client, const char *kind, const char *peer_id,
                        const char *data, size_t size)
{
    if (strcmp(kind, "string") == 0) {
        return rats_send_string(client, peer_id, data);
    }
    if (strcmp(kind, "binary") == 0) {
        return rats_send_binary(client, peer_id, data, size);
    }
    if (strcmp(kind, "json") == 0) {
        return rats_send_json(client, peer_id, data);
    }
    return rats_channel_send(client, peer_id, CHANNEL, data, size);
}

/* One line: "KIND PEER HEX". */
static void obey(rats_client_t client, char *line)
{
    char *rest = NULL;
    const char *kind = strtok_r(line, " ", &rest);
    const char *peer_id = strtok_r(NULL, " ", &rest);
    const char *hex = strtok_r(NULL, " ", &rest);
    size_t size = 0;
    char *data = kind != NULL && peer_id != NULL ? parse_hex(hex == NULL ? "" : hex, &size) : NULL;

    if (data == NULL) {
        printf("failed %d the line is not understood\n", (int)RATS_ERROR_INVALID_PARAMETER);
    } else if (send_payload(client, kind, peer_id, data, size) == RATS_SUCCESS) {
        printf("sent\n");
    } else {
        printf("failed %d %s\n", rats_last_error(client), rats_last_error_message(client));
    }
    fflush(stdout);
    free(data);
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    rats_client_t client = rats_create(0);

    if (client == NULL) {
        printf("failed %d %s\n", rats_last_error(NULL), rats_last_error_message(NULL));
        return 1;
    }
    rats_set_connection_callback(client, on_connected, NULL);
    rats_set_disconnect_callback(client, on_disconnected, NULL);
    rats_set_string_callback(client, on_string, NULL);
    rats_set_binary_callback(client, on_binary, NULL);
    rats_set_json_callback(client, on_json, NULL);
    if (rats_channel_on(client, CHANNEL, on_channel, NULL) != RATS_SUCCESS ||
        rats_start(client) != RATS_SUCCESS) {
        printf("failed %d %s\n", rats_last_error(client), rats_last_error_message(client));
        rats_destroy(client);
        return 1;
    }
    char *peer_id = rats_get_our_peer_id(client);
    printf("ready %s\n", peer_id == NULL ? "" : peer_id);
    fflush(stdout);
    rats_string_free(peer_id);

    while ((length = getline(&line, &capacity, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0) {
            break;
        }
        obey(client, line);
    }
    free(line);
    rats_destroy(client);
    return 0;
}
