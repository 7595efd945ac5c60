// As much of Compose as the sample app names, for compiling it where there is none. It draws nothing.
@file:Suppress("unused", "FunctionName", "UNUSED_PARAMETER")

package androidx.compose.runtime

import kotlin.reflect.KProperty
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

@Target(AnnotationTarget.FUNCTION, AnnotationTarget.TYPE)
annotation class Composable

open class State<T>(open val value: T)

class MutableState<T>(override var value: T) : State<T>(value)

fun <T> mutableStateOf(value: T): MutableState<T> = MutableState(value)

fun <T> remember(make: () -> T): T = make()

operator fun <T> State<T>.getValue(owner: Any?, property: KProperty<*>): T = value

operator fun <T> MutableState<T>.setValue(owner: Any?, property: KProperty<*>, new: T) {
    value = new
}

fun LaunchedEffect(key: Any?, block: suspend CoroutineScope.() -> Unit) {}

fun <T> snapshotFlow(block: () -> T): Flow<T> = flow { emit(block()) }
