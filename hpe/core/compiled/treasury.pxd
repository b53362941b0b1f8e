"""Money commands: deposits, withdrawals, transfers, locks and named holds.

The compiled twin of hpe/core/money/treasury.py, with its names. Rejects are tested in the order of
protocol.md's lists, and a rejected command changes nothing. Owned by the core, used by the thread
that runs it. Nothing fails; each command was given room for a user, an account, a hold, a timer,
two events and three touches.
"""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from hpe.core.compiled cimport accounts, events, holds
from hpe.core.compiled.accounts cimport (
    Account,
    Balances,
    Money,
    find_money,
    _money_of,
    find_account,
    peek,
)
from hpe.core.compiled.answers cimport HoldResponse, LockResponse, Response, begin_response
from hpe.core.compiled.codes cimport (
    EXPIRY_PASSED,
    HOLD_CAPTURED,
    HOLD_EXPIRED,
    HOLD_LOCKED,
    HOLD_RELEASED,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_HOLD,
    INVALID_COMBINATION,
    NONE,
    TYPE_CAPTURE_HOLD,
    TYPE_DEPOSIT,
    TYPE_LOCK_BALANCE,
    TYPE_RELEASE_HOLD,
    TYPE_TRANSFER,
    TYPE_UNLOCK_BALANCE,
    TYPE_WITHDRAW,
    UNKNOWN_ASSET,
    UNKNOWN_HOLD,
)
from hpe.core.compiled.context cimport Context
from hpe.core.compiled.events cimport Events, HoldEvent
from hpe.core.compiled.fields cimport Request
from hpe.core.compiled.holders cimport Refusal
from hpe.core.compiled.holds cimport Hold, Holds, find_hold, hold_at
from hpe.core.compiled.parties cimport NO_ASSET, Parties, admit, party_refusal
from hpe.core.compiled.requests cimport (
    CAPTURE_HOLD_AMOUNT,
    CAPTURE_HOLD_HOLD_ID,
    CAPTURE_HOLD_TO_USER,
    CAPTURE_HOLD_USER,
    DEPOSIT_AMOUNT,
    DEPOSIT_ASSET,
    DEPOSIT_REQUEST_ID,
    DEPOSIT_USER,
    LOCK_BALANCE_EXPIRES_NS,
    LOCK_BALANCE_HOLD_ID,
    RELEASE_HOLD_AMOUNT,
    RELEASE_HOLD_HOLD_ID,
    RELEASE_HOLD_USER,
    TRANSFER_TO_USER,
    TRANSFER_USER,
)
from hpe.core.compiled.timers cimport TimerEntry


cdef struct MoneyCommand:
    # What a money command says, and for whom; a field that its type does not have is 0.
    int kind
    int64_t request_id
    int64_t asset
    int64_t amount
    int64_t owner
    int64_t to_user
    int64_t hold_id
    int64_t expires_ns


cdef struct Treasury:
    # Executes money commands on one exchange; `events` get the changes of holds.
    Balances* balances
    Holds* holds
    Parties* parties
    Events* events


cdef inline void make_treasury(
    Treasury* treasury, Balances* balances, Holds* named, Parties* parties, Events* noted
) noexcept nogil:
    """Initialize; it owns nothing."""
    treasury.balances, treasury.holds = balances, named
    treasury.parties, treasury.events = parties, noted


cdef inline MoneyCommand money_command(
    const Context* context, const Request* request
) noexcept nogil:
    """Return what a decoded money command says."""
    cdef MoneyCommand command
    memset(&command, 0, sizeof(MoneyCommand))
    command.kind, command.request_id = request.kind, request.values[<int>DEPOSIT_REQUEST_ID]
    if request.kind == TYPE_CAPTURE_HOLD:
        command.hold_id = request.values[<int>CAPTURE_HOLD_HOLD_ID]
        command.amount = request.values[<int>CAPTURE_HOLD_AMOUNT]
        command.to_user = request.values[<int>CAPTURE_HOLD_TO_USER]
        command.owner = request.values[<int>CAPTURE_HOLD_USER]
    elif request.kind == TYPE_RELEASE_HOLD:
        command.hold_id = request.values[<int>RELEASE_HOLD_HOLD_ID]
        command.amount = request.values[<int>RELEASE_HOLD_AMOUNT]
        command.owner = request.values[<int>RELEASE_HOLD_USER]
    else:  # all others begin like a deposit
        command.asset = request.values[<int>DEPOSIT_ASSET]
        command.amount = request.values[<int>DEPOSIT_AMOUNT]
        command.owner = request.values[<int>DEPOSIT_USER]
    if request.kind == TYPE_TRANSFER:
        command.to_user = request.values[<int>TRANSFER_TO_USER]
        command.owner = request.values[<int>TRANSFER_USER]
    elif request.kind == TYPE_LOCK_BALANCE:
        command.hold_id = request.values[<int>LOCK_BALANCE_HOLD_ID]
        command.expires_ns = request.values[<int>LOCK_BALANCE_EXPIRES_NS]
    if command.owner == 0:
        command.owner = context.user
    return command


cdef inline void execute_money(
    Treasury* treasury, const Context* context, const Request* request, Response* response
) noexcept nogil:
    """Execute a decoded money command, and set its response."""
    cdef MoneyCommand command = money_command(context, request)
    if command.kind == TYPE_DEPOSIT:
        deposit(treasury, context, &command, response)
    elif command.kind == TYPE_WITHDRAW:
        withdraw(treasury, context, &command, response)
    elif command.kind == TYPE_UNLOCK_BALANCE:
        unlock_balance(treasury, context, &command, response)
    elif command.kind == TYPE_LOCK_BALANCE:
        lock_balance(treasury, context, &command, response)
    elif command.kind == TYPE_TRANSFER:
        transfer(treasury, context, &command, response)
    elif command.kind == TYPE_CAPTURE_HOLD:
        capture_hold(treasury, context, &command, response)
    else:
        release_hold(treasury, context, &command, response)


cdef inline void list_asset(Treasury* treasury, int64_t asset) noexcept nogil:
    """Let commands name an asset until it is closed; a new asset was reserved for it."""
    _money_of(treasury.balances, asset).listed = True


cdef inline bint _is_listed(const Balances* balances, int64_t asset) noexcept nogil:
    cdef const Money* money = find_money(balances, asset)
    return money != NULL and money.listed


cdef inline void deposit(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Credit an account from outside."""
    cdef int64_t owner = command.owner, asset = command.asset
    cdef Balances* balances = treasury.balances
    cdef Refusal refusal
    if not _is_listed(balances, asset):
        _answer(treasury, context, command, response, UNKNOWN_ASSET, 0)
        return
    refusal = party_refusal(treasury.parties, context, owner, asset, NO_ASSET, True)
    if refusal.reason == NONE:
        refusal.reason = accounts.deposit_refusal(balances, asset, command.amount)
    if refusal.reason == NONE:
        admit(treasury.parties, context.holder, owner, asset, NO_ASSET)
        accounts.deposit(balances, find_account(balances, owner, asset), command.amount)
    _answer(treasury, context, command, response, refusal.reason, refusal.flags)


cdef inline void withdraw(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Debit an account to outside."""
    cdef int reason = UNKNOWN_ASSET
    if _is_listed(treasury.balances, command.asset):
        reason = accounts.withdraw(
            treasury.balances, _account(treasury, command), command.amount
        )
    _answer(treasury, context, command, response, reason, 0)


cdef inline void unlock_balance(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Move money that is held without a name to available."""
    cdef int reason = UNKNOWN_ASSET
    if _is_listed(treasury.balances, command.asset):
        reason = accounts.unlock(
            treasury.balances, _account(treasury, command), command.amount
        )
    _answer(treasury, context, command, response, reason, 0)


cdef inline void lock_balance(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Move available money to held, with or without a name."""
    cdef Refusal refusal = Refusal(NONE, 0)
    _end_named(treasury, context, command.owner, command.hold_id)
    if command.hold_id == 0 and command.expires_ns:
        refusal.reason = INVALID_COMBINATION
    elif not _is_listed(treasury.balances, command.asset):
        refusal.reason = UNKNOWN_ASSET
    elif command.hold_id == 0:
        refusal.reason = accounts.lock(
            treasury.balances, _account(treasury, command), command.amount
        )
    elif 0 < command.expires_ns <= context.time_ns:
        refusal.reason = EXPIRY_PASSED
    else:
        refusal = _lock_named(treasury, context, command)
    _answer(treasury, context, command, response, refusal.reason, refusal.flags)


cdef inline Refusal _lock_named(
    Treasury* treasury, const Context* context, const MoneyCommand* command
) noexcept nogil:
    cdef int64_t owner = command.owner, hold_id = command.hold_id
    cdef Hold hold
    cdef Refusal refusal
    hold.asset, hold.amount, hold.expires_ns = command.asset, command.amount, command.expires_ns
    hold.holder = context.holder
    refusal = holds.add_hold(treasury.holds, context, owner, hold_id, &hold)
    if refusal.reason == NONE:
        _note(treasury, owner, hold_id, &hold, HOLD_LOCKED, hold.amount)
    return refusal


cdef inline void transfer(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Move available money to another user."""
    cdef uint32_t account = _account(treasury, command), payee
    cdef Balances* balances = treasury.balances
    cdef Refusal refusal
    if command.to_user == command.owner:
        _answer(treasury, context, command, response, INVALID_COMBINATION, 0)
        return
    if not _is_listed(balances, command.asset):
        _answer(treasury, context, command, response, UNKNOWN_ASSET, 0)
        return
    refusal = party_refusal(
        treasury.parties, context, command.to_user, command.asset, NO_ASSET, False
    )
    if refusal.reason == NONE and not accounts.has_available(balances, account, command.amount):
        refusal.reason = INSUFFICIENT_FUNDS
    if refusal.reason == NONE:
        admit(treasury.parties, context.holder, command.to_user, command.asset, NO_ASSET)
        payee = find_account(balances, command.to_user, command.asset)
        accounts.transfer(balances, account, payee, command.amount)
    _answer(treasury, context, command, response, refusal.reason, refusal.flags)


cdef inline uint32_t _account(
    const Treasury* treasury, const MoneyCommand* command
) noexcept nogil:
    return find_account(treasury.balances, command.owner, command.asset)


cdef inline void _answer(
    const Treasury* treasury, const Context* context, const MoneyCommand* command,
    Response* response, int reason, int flags
) noexcept nogil:
    """Set a response with the owner's account as it is now."""
    cdef LockResponse* said = &response.fields.lock
    cdef const Account* account = peek(treasury.balances, command.owner, command.asset)
    begin_response(response, command.kind, command.request_id, context.sequence, reason, flags)
    said.asset = command.asset
    if account != NULL:
        said.available, said.reserved = account.available, account.reserved
        said.held = account.held


cdef inline void _note(
    Treasury* treasury, int64_t user, int64_t hold_id, const Hold* hold, int change, int64_t amount
) noexcept nogil:
    """Report what happened to a hold."""
    cdef HoldEvent event = HoldEvent(
        user, hold_id, hold.asset, amount, hold.amount, hold.expires_ns, change
    )
    events.add_hold(treasury.events, &event)


cdef inline void capture_hold(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Pay from a named hold."""
    _pay_out(treasury, context, command, response, HOLD_CAPTURED, command.to_user)


cdef inline void release_hold(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response
) noexcept nogil:
    """Release part or all of a named hold."""
    _pay_out(treasury, context, command, response, HOLD_RELEASED, command.owner)


cdef inline void _pay_out(
    Treasury* treasury, const Context* context, const MoneyCommand* command, Response* response,
    int change, int64_t to_user
) noexcept nogil:
    """Pay part of a hold (0: all of it) to a user; answer with what remains."""
    cdef int64_t owner = command.owner, hold_id = command.hold_id, amount = command.amount
    cdef uint32_t number
    cdef Hold hold
    cdef Refusal refusal
    _end_named(treasury, context, owner, hold_id)
    number = find_hold(treasury.holds, owner, hold_id)
    if number == 0:
        begin_response(
            response, command.kind, command.request_id, context.sequence, UNKNOWN_HOLD, 0
        )
        response.fields.hold.hold_id = hold_id
        return
    hold = hold_at(treasury.holds, number)[0]
    refusal = party_refusal(treasury.parties, context, to_user, hold.asset, NO_ASSET, False)
    if refusal.reason == NONE and amount > hold.amount:
        refusal.reason = INSUFFICIENT_HOLD
    if refusal.reason == NONE:
        amount = amount if amount else hold.amount
        admit(treasury.parties, context.holder, to_user, hold.asset, NO_ASSET)
        _pay(treasury, number, &hold, amount, to_user)
        _note(treasury, owner, hold_id, &hold, change, amount)
    begin_response(
        response, command.kind, command.request_id, context.sequence, refusal.reason, refusal.flags
    )
    _say_what_remains(treasury, &hold, &response.fields.hold)


cdef inline void _say_what_remains(
    const Treasury* treasury, const Hold* hold, HoldResponse* said
) noexcept nogil:
    """Answer with a hold, which may be gone meanwhile, and with its owner's account."""
    cdef const Account* account = accounts.account_at(treasury.balances, hold.account)
    said.hold_id, said.asset, said.remaining = hold.node.second, hold.asset, hold.amount
    said.available, said.reserved = account.available, account.reserved
    said.held = account.held


cdef inline void _pay(
    Treasury* treasury, uint32_t number, Hold* hold, int64_t amount, int64_t to_user
) noexcept nogil:
    """Pay from a hold, of which this is a copy, which outlives it."""
    holds.pay(
        treasury.holds, number, amount, find_account(treasury.balances, to_user, hold.asset)
    )
    hold.amount -= amount


# --- holds whose time has come --------------------------------------------------------------------


cdef inline void act_on_hold(Treasury* treasury, const TimerEntry* entry) noexcept nogil:
    """End the hold of a timer entry."""
    _expire(treasury, find_hold(treasury.holds, entry.node.second, entry.node.third))


cdef inline void _end_named(
    Treasury* treasury, const Context* context, int64_t user, int64_t hold_id
) noexcept nogil:
    """End a user's hold that a command names, if its time has come."""
    cdef uint32_t number = find_hold(treasury.holds, user, hold_id)
    if number and 0 < hold_at(treasury.holds, number).expires_ns <= context.time_ns:
        _expire(treasury, number)


cdef inline void _expire(Treasury* treasury, uint32_t number) noexcept nogil:
    cdef Hold hold = hold_at(treasury.holds, number)[0]
    cdef int64_t amount = hold.amount
    holds.expire(treasury.holds, number)
    hold.amount = 0
    _note(treasury, hold.node.first, hold.node.second, &hold, HOLD_EXPIRED, amount)
